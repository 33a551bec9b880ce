#!/usr/bin/env bash
# From nothing to an evaluated classifier: environment, synthetic data, training, HTML report.
# Usage: bash run_scripts/quickstart.sh
# Settings: RUN_DIR (default runs/quickstart), ROWS (training rows, default 3000), EPOCHS,
# SKIP_SETUP=1 (the environment is there already).
set -euo pipefail
case "${SKIP_SETUP:-0}${1:-}" in 1* | *-h | *--help) ;; *) bash "$(dirname "$0")/setup.sh" ;; esac
SIZE=${SIZE:-micro}
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/recipe.sh"
: "${RUN_DIR:=$ROOT/runs/quickstart}" "${ROWS:=3000}" "${PATCH:=64}"
: "${LR:=4e-4}" "${EPOCHS:=16}" "${BATCH_SIZE:=32}" "${AUGMENTATION:=none}"
start_recipe medmnist "$@"

if wants data; then
  run biomedgpt phantoms --task classify --output "$DATA" --train "$ROWS" --valid 300 --test 300 --size "$PATCH" --seed "$SEED"
  [ -f "$BPE_DIR/vocabulary.json" ] || run biomedgpt vocab train "$DATA/corpus.txt" --size 1000 --output "$BPE_DIR"
fi
train_and_evaluate "$@"
