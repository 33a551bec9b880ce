#!/usr/bin/env bash
# Whether paraphrases in pretraining make a model less dependent on the wording of an instruction:
# questions about phantoms, once in the released wording alone, once with paraphrases in half of the
# rows, everything else equal. Each model then answers held-out questions in every wording; two of
# them are never used in pretraining.
# Usage: RESTORE=CHECKPOINT BPE_DIR=VOCABULARY bash benchmarks/instruction_variants.sh [fairseq-train options]
# Settings: RUN_DIR (default runs/instruction_variants), SHARES (of paraphrases), SEEDS, ROWS,
# TEST_ROWS, PATCH, BATCH_SIZE, LR, EPOCHS; without RESTORE (such as the result of
# run_scripts/phantoms.sh caption) training starts from scratch.
set -euo pipefail
SIZE=${SIZE:-micro}
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/instruction_variants}" "${SHARES:=0 0.5}" "${SEEDS:=1 2}" "${ROWS:=16000}" "${TEST_ROWS:=1000}"
: "${PATCH:=64}" "${BATCH_SIZE:=32}" "${LR:=1e-3}" "${EPOCHS:=3}" "${BPE_DIR:=$RUN_DIR/vocabulary}"
DATA="$RUN_DIR/data"
: "${PATCHES:=$(((PATCH / 16) ** 2))}"
OPTIONS=(--patch-image-size "$PATCH" --code-dict-size 0 --num-bins 0)

# as_pairs SPLIT: questions in the columns of pretraining.
as_pairs() {
  awk -F '\t' -v OFS='\t' '{ print $1, $6, "", $3, $4, $5, "phantoms", "qa" }' "$DATA/$1.tsv" >"$DATA/pairs_$1.tsv"
}

if wants data; then
  run biomedgpt phantoms --task vqa --output "$DATA" --train "$ROWS" --valid 300 --test "$TEST_ROWS" --size "$PATCH" --seed "$SEED"
  # For its folder of wrong answers.
  run biomedgpt phantoms --task pretrain --output "$RUN_DIR/pretrain" --train 1000 --valid 1 --test 0 --size 32 --seed "$SEED"
  for split in train valid; do
    if [ "$DRY_RUN" = 1 ]; then echo "$DATA/pairs_$split.tsv: the same rows in the columns of pretraining" >&2; else as_pairs "$split"; fi
  done
  [ -d "$BPE_DIR" ] || run biomedgpt vocab train "$DATA/corpus.txt" --size 1000 --output "$BPE_DIR"
fi
for seed in $SEEDS; do for share in $SHARES; do
  save_dir="$RUN_DIR/variants_$share/$seed"
  if wants train; then
    SEED=$seed launch_train unify_task "$DATA/pairs_train.tsv,$DATA/pairs_valid.tsv" "$save_dir" "${OPTIONS[@]}" \
      --neg-sample-dir "$RUN_DIR/pretrain/negatives" --instruction-variants "$share" --sample-patch-num "$PATCHES" --lr "$LR" \
      --warmup-ratio 0.1 --batch-size "$BATCH_SIZE" --max-epoch "$EPOCHS" --no-epoch-checkpoints \
      --entangle-position-embedding "$@"
  fi
  if wants eval; then
    launch_evaluate "$DATA/test.tsv" "$save_dir/checkpoint_last.pt" "$RUN_DIR/results/$share/$seed" --task vqa_gen \
      --selected-cols 0,5,2,3,4 --model-overrides "{\"ans2label_file\": \"$DATA/answers.json\"}" \
      --batch-size 64 --paraphrases
  fi
done; done
