#!/usr/bin/env bash
# The experiments on public data of docs/results.md: for each data set training and evaluation, the
# floors, and 64 training rows learnt by heart. Started again, it goes on where it stopped.
# Usage: DATASETS=datasets bash benchmarks/real_data.sh [NAME ...]
# DATASETS: a folder with vqa-rad, covid_chestxray, meqsum, indiana_reports (indiana_dev.json), rqe,
# evidence_inference (annotations) and pubmedqa. NAME: only these runs. RUNS: where they are kept.
set -euo pipefail
: "${DATASETS:=datasets}" "${RUNS:=runs/real}" "${SIZE:=micro}" "${SEED:=1}"
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
export SIZE SEED VENV DRY_RUN GPUS NUM_WORKERS
WANTED=" $* "

# experiment TASK SCRIPT SOURCE RUN [SETTING=VALUE ...] [-- SETTING=VALUE of the 64 rows ...]
experiment() {
  local task=$1 script="$ROOT/run_scripts/$1/$2.sh" source="$DATASETS/$3" run_dir="$RUNS/$4"
  local settings=() by_heart=()
  [ "$WANTED" = "  " ] || [[ $WANTED == *" $4 "* ]] || return 0
  shift 4
  while [ $# -gt 0 ] && [ "$1" != -- ]; do settings+=("$1"); shift; done
  by_heart=(TRAIN_LIMIT=64 VALID_SPLIT=train EVAL_SPLIT=train EMA_DECAY= DROPOUT=0 DROP_PATH=0
    ATTENTION_DROPOUT=0 LABEL_SMOOTHING=0 WEIGHT_DECAY=0 LR=2e-3 BATCH_SIZE=16
    "DATA=$run_dir/data" "BPE_DIR=$run_dir/vocabulary" "RUN_DIR=$run_dir/memory" "${@:2}")
  if [ ! -f "$run_dir/results/report.html" ]; then
    clocked "$run_dir" env SOURCE="$source" RUN_DIR="$run_dir" "${settings[@]}" bash "$script"
  fi
  if [ $# -gt 0 ] && [ ! -f "$run_dir/memory/results_train/report.html" ]; then
    clocked "$run_dir/memory" env SOURCE="$source" "${settings[@]}" "${by_heart[@]}" bash "$script"
  fi
  [ -f "$run_dir/floors.json" ] ||
    PYTHONPATH=$ROOT run python -m benchmarks.floors "$task" "$run_dir/data" --output "$run_dir/floors.json"
}

# clocked FOLDER COMMAND ...: run it; wall, user and system seconds go to FOLDER/seconds.txt.
clocked() {
  local folder=$1 TIMEFORMAT='%R %U %S'
  shift
  if [ "$DRY_RUN" = 1 ]; then "$@"; return; fi
  mkdir -p "$folder"
  { time "$@" 2>&3; } 3>&2 2>"$folder/seconds.txt"
}

words() { printf '{"beam": %s, "max_len_b": %s}' "$1" "$2"; }
every() { echo "EXTRA_OPTIONS=--validate-interval $1${2:+ $2}"; }

experiment gigaword indiana_reports indiana_reports/indiana_dev.json indiana_reports \
  VOCAB_SIZE=2000 MAX_SRC_LENGTH=100 MAX_TGT_LENGTH=60 DROPOUT=0.2 EPOCHS=24 \
  VALID_EVAL_ARGS="$(words 1 60)" "$(every 2)" \
  -- EPOCHS=150 MAX_TGT_LENGTH=100 VALID_EVAL_ARGS="$(words 1 120)" TEST_EVAL_ARGS="$(words 1 120)" "$(every 50)"
experiment gigaword meqsum meqsum meqsum \
  VOCAB_SIZE=3000 MAX_SRC_LENGTH=120 MAX_TGT_LENGTH=40 DROPOUT=0.2 EPOCHS=24 \
  VALID_EVAL_ARGS="$(words 1 40)" TEST_EVAL_ARGS="$(words 1 40)" "$(every 3)" \
  -- MAX_TGT_LENGTH=80 EPOCHS=100 VALID_EVAL_ARGS="$(words 1 80)" TEST_EVAL_ARGS="$(words 1 80)" "$(every 50)"
experiment mnli rqe rqe rqe \
  VOCAB_SIZE=6000 MAX_SRC_LENGTH=50 DROPOUT=0.2 BATCH_SIZE=64 LR=1e-3 EPOCHS=3 \
  -- EPOCHS=20 "$(every 10)"
experiment text_classify pubmedqa pubmedqa pubmedqa \
  VOCAB_SIZE=6000 MAX_SRC_LENGTH=300 DROPOUT=0.2 BATCH_SIZE=8 EPOCHS=6 EMA_DECAY=0.99 \
  -- EPOCHS=40 MAX_SRC_LENGTH=60 "$(every 20)"
experiment vqa_gen vqa_rad vqa-rad vqa_rad \
  DATA_OPTIONS="--max-side 128" VOCAB_SIZE=1500 DROPOUT=0.2 EPOCHS=16 "$(every 4 --add-object)" \
  -- EPOCHS=60 "$(every 30 --add-object)"
experiment caption covid_chestxray covid_chestxray covid_chestxray \
  DATA_OPTIONS="--max-side 128" VOCAB_SIZE=2500 MAX_TGT_LENGTH=60 DROPOUT=0.2 BATCH_SIZE=8 EPOCHS=40 EMA_DECAY=0.99 \
  VALID_EVAL_ARGS="$(words 1 80)" TEST_EVAL_ARGS="$(words 1 80)" "$(every 5)" \
  -- EPOCHS=150 MAX_TGT_LENGTH=400 VALID_EVAL_ARGS="$(words 1 400)" TEST_EVAL_ARGS="$(words 1 400)" "$(every 75)"
heart=(-- AUGMENTATION=none EPOCHS=60 "$(every 30)")  # of fold 0 alone
for FOLD in 0 1 2 3 4; do
  experiment image_classify vqa_rad_organ vqa-rad "vqa_rad_organ_$FOLD" \
    FOLD="$FOLD" DATA_OPTIONS="--max-side 128" EPOCHS=60 BATCH_SIZE=16 "${heart[@]}"
  heart=()
done
experiment text_classify evidence_inference evidence_inference/annotations evidence_inference \
  DATA_OPTIONS=--evidence-only VOCAB_SIZE=12000 MAX_SRC_LENGTH=40 DROPOUT=0.3 LR=1e-3 EPOCHS=10 \
  EXTRA_OPTIONS="--encoder-layers 1 --decoder-layers 1" \
  -- EPOCHS=40 MAX_SRC_LENGTH=60 "$(every 20 "--encoder-layers 1 --decoder-layers 1")"
