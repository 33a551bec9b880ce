#!/usr/bin/env bash
# Image classification on a folder of images, by a folder per class or a CSV of path,label,split.
# Recipe: that of the nearest published sets, MedMNIST (medmnist).
# Usage: IMAGES=brain_mri CSV=brain_mri/splits.csv bash run_scripts/image_classify/image_folder.sh
# IMAGES: the folder. CSV: the table, if there is one.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
SOURCE=${IMAGES:-${SOURCE:-}}
[ -z "$SOURCE" ] || NAME=$(basename "$SOURCE")
run_recipe medmnist image_folder ${CSV:+--csv "$CSV"} -- "$@"
