#!/usr/bin/env bash
# Training and evaluation of image classification; sourced by the scripts of the data sets.
set -euo pipefail

# Averaged weights even out the noise of small batches; EMA_DECAY= (empty) goes without.
average=() use_average=()
if [ -n "${EMA_DECAY=0.995}" ]; then
  average=(--store-ema --ema-decay "$EMA_DECAY" --uses-ema)
  use_average=(--ema-eval)
fi

if wants train; then
  launch_train image_classify "$DATA/train.tsv,$DATA/valid.tsv" "$RUN_DIR/checkpoints" \
    --selected-cols 0,2 --ans2label-file "$DATA/answers.json" --patch-image-size "$PATCH" \
    --augmentation "$AUGMENTATION" --code-dict-size "${CODES:=0}" --num-bins "${BINS:=0}" \
    --label-smoothing 0.1 --dropout 0.1 --encoder-drop-path-rate 0.1 --decoder-drop-path-rate 0.1 \
    --lr "$LR" --warmup-ratio "${WARMUP_RATIO:=0.1}" --max-epoch "$EPOCHS" \
    --batch-size "$BATCH_SIZE" --keep-last-epochs 1 \
    --best-checkpoint-metric score --maximize-best-checkpoint-metric "${average[@]}" "$@"
fi
if wants eval; then
  launch_evaluate "$DATA/test.tsv" "$RUN_DIR/checkpoints/checkpoint_best.pt" "$RUN_DIR/results" \
    --batch-size "$BATCH_SIZE" "${use_average[@]}"
fi
