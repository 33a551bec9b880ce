#!/usr/bin/env bash
# Pneumonia on chest x-rays of the RSNA challenge.
# Recipe: that of the nearest published sets, MedMNIST (medmnist).
# Usage: SOURCE=rsna bash run_scripts/image_classify/rsna_pneumonia.sh [fairseq-train options]
# SOURCE: folder with stage_2_train_labels.csv and the pictures as PNG or JPEG files. DETAILED=yes:
# the three classes of stage_2_detailed_class_info.csv.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe medmnist rsna_pneumonia ${DETAILED:+--detailed} -- "$@"
