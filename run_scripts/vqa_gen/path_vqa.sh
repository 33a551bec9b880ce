#!/usr/bin/env bash
# Visual question answering on PathVQA.
# Recipe: that of the nearest published set, VQA-RAD (vqa_rad).
# Usage: SOURCE=path_vqa bash run_scripts/vqa_gen/path_vqa.sh [fairseq-train options]
# SOURCE: folder with qas/ and images/, with lists as JSON, or with parquet files in data/.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe vqa_rad path_vqa -- "$@"
