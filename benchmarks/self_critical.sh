#!/usr/bin/env bash
# What self-critical training adds to cross-entropy: captions of few phantoms, scored on the same
# rows after cross-entropy, after self-critical training, and after as much more cross-entropy.
# Usage: bash benchmarks/self_critical.sh
# Settings: RUN_DIR (default runs/self_critical), ROWS, PATCH, BATCH_SIZE, LR and EPOCHS of
# cross-entropy, MORE_LR and MORE_EPOCHS of what follows.
set -euo pipefail
SIZE=${SIZE:-micro}
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/self_critical}" "${ROWS:=96}" "${PATCH:=64}" "${BATCH_SIZE:=16}"
: "${LR:=1e-3}" "${EPOCHS:=20}" "${MORE_LR:=1e-4}" "${MORE_EPOCHS:=20}"
DATA="$RUN_DIR/data" BPE_DIR="$RUN_DIR/vocabulary"
BEAM='{"beam": 3, "max_len_b": 48}'
SAMPLES='{"beam": 5, "max_len_b": 48}'

# train_captions NAME [OPTION ...]
train_captions() {
  launch_train caption "$DATA/train.tsv,$DATA/train.tsv" "$RUN_DIR/$1" \
    --selected-cols 0,4,2 --patch-image-size "$PATCH" --code-dict-size 0 --num-bins 0 \
    --eval-cider --eval-args "$BEAM" --batch-size "$BATCH_SIZE" --no-epoch-checkpoints \
    --validate-interval 10 "${@:2}"
}

if wants data; then
  run biomedgpt phantoms --task caption --output "$DATA" --train "$ROWS" --valid 0 --test 0 --size "$PATCH" --seed "$SEED"
  [ -d "$BPE_DIR" ] || run biomedgpt vocab train "$DATA/corpus.txt" --size 1000 --output "$BPE_DIR"
fi
if wants train; then
  train_captions cross_entropy --lr "$LR" --warmup-ratio 0.1 --max-epoch "$EPOCHS"
  RESTORE="$RUN_DIR/cross_entropy/checkpoint_last.pt"
  train_captions self_critical --criterion scst_reward_criterion --scst --scst-args "$SAMPLES" \
    --lr "$MORE_LR" --max-epoch "$MORE_EPOCHS"
  train_captions more_cross_entropy --lr "$MORE_LR" --max-epoch "$MORE_EPOCHS"
fi
if wants eval; then
  for name in cross_entropy self_critical more_cross_entropy; do
    launch_evaluate "$DATA/train.tsv" "$RUN_DIR/$name/checkpoint_last.pt" "$RUN_DIR/results/$name" --batch-size "$BATCH_SIZE"
  done
fi
