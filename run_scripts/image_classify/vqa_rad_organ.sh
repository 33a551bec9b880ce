#!/usr/bin/env bash
# The organ of a VQA-RAD picture; one fold of a cross-validation.
# Recipe: that of the nearest published sets, MedMNIST (medmnist).
# Usage: SOURCE=vqa-rad FOLD=0 bash run_scripts/image_classify/vqa_rad_organ.sh
# SOURCE: as for vqa_rad.sh. FOLD: which fifth of the pictures is the test split, 0 (default) to 4.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${FOLD:=0}"
NAME+="_$FOLD"
run_recipe medmnist vqa_rad_organ --fold "$FOLD" -- "$@"
