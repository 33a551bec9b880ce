#!/usr/bin/env bash
# Visual question answering on VQA-RAD, by the published recipe (vqa_rad).
# Usage: SOURCE=vqa-rad bash run_scripts/vqa_gen/vqa_rad.sh [fairseq-train options]
# SOURCE: folder with trainset.json, testset.json and images/, or the OSF release.
# Its training and test questions share pictures by design: ON_LEAK is keep.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${ON_LEAK:=keep}"
run_recipe vqa_rad vqa_rad -- "$@"
