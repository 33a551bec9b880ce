#!/usr/bin/env bash
# Whether pretraining that is killed twice repeats the unbroken run: all four kinds of phantoms, the
# losses of every update. Prints the largest difference, and how the loss of each kind falls.
# Usage: bash benchmarks/pretraining_resume.sh [fairseq-train options]
# Settings: RUN_DIR (default runs/pretraining_resume), KILL_AT (updates after which kill -9 comes),
# SAVE_EVERY (updates), and those of run_scripts/pretrain/pretrain.sh.
set -euo pipefail
export SIZE=${SIZE:-micro} GPUS=${GPUS:-0} NUM_WORKERS=${NUM_WORKERS:-1} MODE=${MODE:-all}
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/pretraining_resume}" "${KILL_AT:=465 995}" "${SAVE_EVERY:=70}"
: "${PHANTOMS=1600}" "${EPOCHS:=14}" "${LR:=1e-3}" "${WARMUP_RATIO:=0.05}" "${PATCH:=64}" "${CODES:=256}"
: "${VOCAB_SIZE:=1000}" "${BATCH_SIZE:=16}"
export PHANTOMS EPOCHS LR WARMUP_RATIO PATCH CODES VOCAB_SIZE BATCH_SIZE SEED DRY_RUN VENV
export DATA=${DATA:-$RUN_DIR/data} OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export SAVE_OPTIONS="--no-epoch-checkpoints --save-interval-updates $SAVE_EVERY --keep-interval-updates 1 --log-interval 1"
OPTIONS=(--sample-patch-num 12 "$@")

pretrain() {
  local run_dir="$RUN_DIR/$2"
  MODE=$1 RUN_DIR=$run_dir BPE_DIR="$DATA/vocabulary" \
    bash "$ROOT/run_scripts/pretrain/pretrain.sh" "${OPTIONS[@]}"
}

# kill_after UPDATES: start the second run, or go on with it, and kill it with all of its workers.
kill_after() {
  local log="$RUN_DIR/killed/checkpoints/train.log" pid
  set -m  # a process group of its own
  pretrain train killed >"$RUN_DIR/killed.log" 2>&1 &
  pid=$!
  set +m
  until grep -qs "\"num_updates\": \"$1\"" "$log"; do
    kill -0 "$pid" 2>/dev/null || fail "training ended before update $1; see $RUN_DIR/killed.log"
    sleep 0.1
  done
  kill -9 -- "-$pid"
  wait "$pid" 2>/dev/null || echo "killed after update $1" >&2
}

if wants data; then
  [ "$DRY_RUN" = 1 ] || mkdir -p "$RUN_DIR"
  pretrain data whole
  [ -d "$DATA/vocabulary" ] || run biomedgpt vocab train "$DATA/corpus.txt" --size "$VOCAB_SIZE" --output "$DATA/vocabulary"
fi
if wants train; then
  pretrain train whole
  for update in $KILL_AT; do
    if [ "$DRY_RUN" = 1 ]; then echo "kill -9 after update $update" >&2; else kill_after "$update"; fi
  done
  pretrain train killed
fi
if wants eval; then
  PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" run python -m benchmarks.loss_curves \
    "$RUN_DIR/whole/checkpoints" "$RUN_DIR/killed/checkpoints"
fi
