#!/usr/bin/env bash
# Pretraining on pairs of image and text, texts, images and boxes, by the published recipe (pretraining).
# Usage: DATA=data/pretrain BPE_DIR=vocab bash run_scripts/pretrain/pretrain.sh [fairseq-train options]
# DATA: folder with train.tsv, valid.tsv, negatives/ and, where there are such rows, text.tsv, image.tsv,
# detection.tsv and valid_text.tsv, valid_image.tsv, valid_detection.tsv (docs/pretraining.md).
# TEXT_DATA, IMAGE_DATA, DETECTION_DATA: other files, comma-separated. PHANTOMS: draw so many rows first.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${CODES:=8192}" "${BINS:=1000}"  # also with a compact vocabulary
start_recipe pretraining "$@"

if wants data && [ -n "${PHANTOMS:-}" ]; then
  run biomedgpt phantoms --task pretrain --output "$DATA" --train "$PHANTOMS" \
    --valid $((PHANTOMS / 10 + 1)) --test 0 --size "$PATCH" --num-codes "$CODES" --seed "$SEED"
  if [ "$BPE_DIR" = "$RUN_DIR/vocabulary" ] && [ ! -d "$BPE_DIR" ]; then
    run biomedgpt vocab train "$DATA/corpus.txt" --size "${VOCAB_SIZE:-4000}" --output "$BPE_DIR"
  fi
fi
if wants train; then
  [ "$DRY_RUN" = 1 ] || [ -d "$BPE_DIR" ] || fail "no vocabulary in $BPE_DIR: name one, BPE_DIR=FOLDER"
  sources=(--neg-sample-dir "$DATA/negatives")
  for kind in text image detection; do
    given="${kind^^}_DATA"
    for name in "$kind" "valid_$kind"; do
      file="$DATA/$name.tsv"
      if [ "$name" = "$kind" ] && [ -n "${!given:-}" ]; then file=${!given}
      elif [ "$DRY_RUN" != 1 ] && [ ! -f "$file" ]; then continue; fi
      sources+=("--${name//_/-}-data" "$file")
    done
  done
  train_recipe "${sources[@]}" "$@"
fi
