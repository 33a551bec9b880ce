#!/usr/bin/env bash
# One finding of CheXpert, present or not.
# Recipe: that of the nearest published sets, MedMNIST (medmnist).
# Usage: SOURCE=CheXpert-v1.0-small FINDING=Edema bash run_scripts/image_classify/chexpert.sh
# SOURCE: the folder of the release; without test rows in it the validation rows are evaluated.
# FINDING: default "Pleural Effusion". UNCERTAIN: reject (default), present or absent. VIEW: frontal
# (default), lateral or both.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${FINDING:=Pleural Effusion}" "${UNCERTAIN:=reject}" "${VIEW:=frontal}"
[ "$FINDING" = "Pleural Effusion" ] || NAME="chexpert_${FINDING// /_}"
run_recipe medmnist chexpert --finding "$FINDING" --uncertain "$UNCERTAIN" --view "$VIEW" -- "$@"
