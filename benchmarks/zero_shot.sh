#!/usr/bin/env bash
# Questions in wordings that no training file has: a network that learns captions and questions together
# answers them freely, about held-out phantoms.
# Usage: RESTORE=CHECKPOINT BPE_DIR=VOCABULARY bash benchmarks/zero_shot.sh [fairseq-train options]
# Settings: RUN_DIR (default runs/zero_shot), QUESTIONS, CAPTIONS and TEST_ROWS (rows), PATCH, EPOCHS; without
# RESTORE (such as the result of run_scripts/phantoms.sh caption) training starts from scratch.
set -euo pipefail
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/zero_shot}" "${QUESTIONS:=20000}" "${CAPTIONS:=8000}" "${TEST_ROWS:=1000}"
: "${PATCH:=64}" "${EPOCHS:=3}"
export RUN_DIR DATA="$RUN_DIR/data" PATCH EPOCHS RESTORE BPE_DIR=${BPE_DIR:-}
PARTS="$RUN_DIR/parts"

phantoms() { run biomedgpt phantoms --task "$1" --output "$PARTS/$2" --size "$PATCH" --train "$3" --valid "$4" --test "$5" "${@:6}"; }

# join: questions, and captions in the columns of questions.
join() {
  mkdir -p "$DATA"
  awk -F '\t' -v OFS='\t' '{ print "c" $1, $2, "what does the image describe?", "1|!+" $3, "", $5 }' \
    "$PARTS/captions/train.tsv" | cat "$PARTS/questions/train.tsv" - >"$DATA/train.tsv"
  cp "$PARTS/questions/valid.tsv" "$PARTS/questions/answers.json" "$DATA"
  cp "$PARTS/unseen/test.tsv" "$DATA"
  cp "$PARTS/captions/corpus.txt" "$DATA"
}

if wants data; then
  phantoms vqa questions "$QUESTIONS" 300 0 --wordings varied --seed 11
  phantoms caption captions "$CAPTIONS" 0 0 --seed 12
  phantoms vqa unseen 0 0 "$TEST_ROWS" --wordings held-out --seed 77
  [ "$DRY_RUN" = 1 ] || join
  [ -n "$BPE_DIR" ] ||
    run biomedgpt vocab train "$DATA/corpus.txt" --size 1000 --output "$RUN_DIR/vocabulary"
fi
: "${BPE_DIR:=$RUN_DIR/vocabulary}"
if wants train; then
  MODE=train WARMUP_RATIO=${WARMUP_RATIO:-0.05} VALID_SEARCH=beamsearch VALID_EVAL_ARGS='{"beam": 1, "max_len_b": 12}' \
    EXTRA_OPTIONS="--entangle-position-embedding --unconstrained-training" bash "$ROOT/run_scripts/phantoms.sh" vqa "$@"
fi
if wants eval; then
  launch_evaluate "$DATA/test.tsv" "$RUN_DIR/checkpoints/checkpoint_last.pt" "$RUN_DIR/results" --task vqa_gen --zero-shot \
    --ema-eval --selected-cols 0,5,2,3,4 --eval-args '{"beam": 5, "max_len_b": 12}'
fi
