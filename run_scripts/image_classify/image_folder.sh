#!/usr/bin/env bash
# Image classification on a folder of images, by a folder per class or a CSV of path,label,split.
# Usage: IMAGES=brain_mri CSV=brain_mri/splits.csv bash run_scripts/image_classify/image_folder.sh
# Settings: IMAGES, CSV, RUN_DIR, BPE_DIR (default: a compact vocabulary trained on the labels),
# PATCH, LR, EPOCHS, BATCH_SIZE, AUGMENTATION, ON_LEAK.
set -euo pipefail
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../common.sh"
show_help "$@"
: "${IMAGES:?name the folder of images}" "${CSV:=}"
: "${RUN_DIR:=$ROOT/runs/image_classify/$(basename "$IMAGES")}"
: "${DATA:=$RUN_DIR/data}" "${BPE_DIR:=$RUN_DIR/vocabulary}"
: "${PATCH:=64}" "${LR:=1e-3}" "${EPOCHS:=40}" "${BATCH_SIZE:=32}" "${AUGMENTATION:=gentle}"

if wants data; then
  table=()
  [ -z "$CSV" ] || table=(--csv "$CSV")
  (cd "$ROOT" && run python -m data_utils.image_folder "$IMAGES" "${table[@]}" --output "$DATA" --on-leak "${ON_LEAK:=error}")
  [ -d "$BPE_DIR" ] || run biomedgpt vocab train "$DATA/train.tsv" --column 2 --size 1000 --output "$BPE_DIR"
fi
source "$ROOT/run_scripts/image_classify/train_and_evaluate.sh"
