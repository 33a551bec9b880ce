#!/usr/bin/env bash
# Visual question answering on SLAKE, the English questions.
# Recipe: that of the nearest published set, VQA-RAD (vqa_rad).
# Usage: SOURCE=Slake1.0 bash run_scripts/vqa_gen/slake.sh [fairseq-train options]
# SOURCE: folder with train.json, validate.json, test.json and imgs/.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe vqa_rad slake -- "$@"
