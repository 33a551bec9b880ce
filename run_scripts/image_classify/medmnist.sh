#!/usr/bin/env bash
# Image classification on a MedMNIST 2-D subset, from its .npz file.
# Usage: NPZ=pneumoniamnist.npz bash run_scripts/image_classify/medmnist.sh [fairseq-train options]
# Settings: NPZ, RUN_DIR, LABELS (labels.json beside the file), BPE_DIR (default: a compact
# vocabulary trained on the labels), PATCH, LR, EPOCHS, BATCH_SIZE, AUGMENTATION.
set -euo pipefail
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../common.sh"
show_help "$@"
: "${NPZ:?name the .npz file of the subset}"
NAME=$(basename "$NPZ" .npz)
: "${RUN_DIR:=$ROOT/runs/image_classify/$NAME}"
: "${DATA:=$RUN_DIR/data}" "${BPE_DIR:=$RUN_DIR/vocabulary}"
: "${PATCH:=64}" "${LR:=1e-3}" "${EPOCHS:=15}" "${BATCH_SIZE:=32}" "${AUGMENTATION:=gentle}"

if wants data; then
  (cd "$ROOT" && run python -m data_utils.medmnist "$NPZ" --output "$DATA" --on-leak "${ON_LEAK:=drop}")
  [ -d "$BPE_DIR" ] || run biomedgpt vocab train "$DATA/train.tsv" --column 2 --size 1000 --output "$BPE_DIR"
fi
source "$ROOT/run_scripts/image_classify/train_and_evaluate.sh"
