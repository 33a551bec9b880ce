#!/usr/bin/env bash
# One task on phantoms: draws pictures and texts, trains from scratch, evaluates on held-out pictures.
# Usage: bash run_scripts/phantoms.sh TASK [fairseq-train options]
# TASK: classify, vqa, caption, nli, summary, detection or grounding. The settings are those of docs/results.md.
# Settings: RUN_DIR (default runs/phantoms/TASK), ROWS (training rows), VALID_ROWS, TEST_ROWS; RESTORE with
# BPE_DIR: checkpoint and vocabulary of another of these runs to start from; DRAW: other options of
# biomedgpt phantoms, as in DRAW="--claim presence".
set -euo pipefail
SIZE=${SIZE:-micro} START=scratch
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/recipe.sh"
TASKS="classify, vqa, caption, nli, summary, detection or grounding"
case "${1:-}" in -h | --help) set -- classify "$@" ;; esac
KIND=${1:-}
[ $# = 0 ] || shift
: "${RUN_DIR:=$ROOT/runs/phantoms/$KIND}" "${PATCH:=64}" "${VALID_ROWS:=300}" "${TEST_ROWS:=1000}"
DATA=${DATA:-$RUN_DIR/data}
vocabulary=("$DATA/corpus.txt")
: "${DROPOUT:=0}" "${DROP_PATH:=0}" "${LABEL_SMOOTHING:=0}" "${LR:=1e-3}" "${BATCH_SIZE:=64}" "${VOCAB_SIZE:=1000}"
REGION='{"beam": 5, "min_len": 4, "max_len_b": 4}'
GREEDY='{"beam": 1, "max_len_b": 40}'
case "$KIND" in
  classify)
    column=medmnist
    : "${ROWS:=10000}" "${EPOCHS:=10}" "${AUGMENTATION:=none}" ;;
  vqa)
    column=vqa_rad
    : "${ROWS:=30000}" "${EPOCHS:=10}" "${EXTRA_OPTIONS=--entangle-position-embedding}" ;;
  caption)
    column=peir_gross
    : "${ROWS:=20000}" "${EPOCHS:=10}" "${MAX_TGT_LENGTH:=40}" "${VALID_EVAL_ARGS:=$GREEDY}"
    : "${TEST_EVAL_ARGS:=$GREEDY}" "${EXTRA_OPTIONS=--entangle-position-embedding}" ;;
  nli)
    column=mednli vocabulary=("$DATA/train.tsv" --column "0,1")
    : "${ROWS:=20000}" "${EPOCHS:=15}" ;;
  summary)
    column=meqsum
    : "${ROWS:=10000}" "${EPOCHS:=10}" "${MAX_TGT_LENGTH:=40}" "${VALID_EVAL_ARGS:=$GREEDY}" "${TEST_EVAL_ARGS:=$GREEDY}" ;;
  detection)
    column=detection
    : "${ROWS:=12000}" "${EPOCHS:=8}" ;;
  grounding)
    column=detection TASK=visual_grounding SELECTED_COLS=0,1,2,3 TEST_COLS=0,1,2,3 BEST_METRIC=iou_50
    : "${ROWS:=12000}" "${EPOCHS:=8}" "${VALID_EVAL_ARGS:=$REGION}" "${TEST_EVAL_ARGS:=$REGION}" ;;
  *) fail "name the task: $TASKS" ;;
esac
start_recipe "$column" "$@"

if wants data; then
  read -r -a draw <<<"${DRAW:-}"
  run biomedgpt phantoms --task "$KIND" --output "$DATA" --train "$ROWS" --valid "$VALID_ROWS" \
    --test "$TEST_ROWS" --size "$PATCH" --seed "$SEED" "${draw[@]}"
  [ -f "$BPE_DIR/vocabulary.json" ] ||
    run biomedgpt vocab train "${vocabulary[@]}" --size "$VOCAB_SIZE" --output "$BPE_DIR"
fi
train_and_evaluate "$@"
