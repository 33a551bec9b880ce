#!/usr/bin/env bash
# What the scripts of all data sets share: defaults from defaults.tsv, conversion, vocabulary,
# training, evaluation. Sourced; a script is its help text and one call of run_recipe.
set -euo pipefail
# shellcheck source=run_scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
NAME=$(basename "$0" .sh)
SETTINGS=()
declare -A GIVEN=()  # those that the environment sets

# run_recipe COLUMN CONVERTER [CONVERTER OPTION ...] -- [SCRIPT ARGUMENT ...]
run_recipe() {
  local column=$1 converter=$2 own=()
  shift 2
  while [ "$1" != -- ]; do own+=("$1"); shift; done
  shift
  start_recipe "$column" "$@"
  ! wants data || convert "$converter" "${own[@]}"
  train_and_evaluate "$@"
}

# start_recipe COLUMN [SCRIPT ARGUMENT ...]: settings, and the help if it is asked for.
start_recipe() {
  take_defaults "$1"
  recipe_help "$@"
  name_places
}

# train_and_evaluate [fairseq-train OPTION ...]
train_and_evaluate() {
  ! wants train || train_recipe "$@"
  ! wants eval || evaluate_recipe
}

# take_defaults COLUMN: gives every setting that the environment leaves unset its default.
take_defaults() {
  local column=$1 start=${START:-any} place=-1 cells name i
  local -A found=()
  [ -n "$RESTORE" ] || start=scratch
  while IFS=$'\t' read -r -a cells; do
    case "${cells[0]}" in
      '#'*) continue ;;
      setting)
        for i in "${!cells[@]}"; do [ "${cells[i]}" != "$column" ] || place=$i; done
        [ "$place" -ge 0 ] || fail "defaults.tsv has no column $column" ;;
      *)
        [ "${cells[1]}" = any ] || [ "${cells[1]}" = "$start" ] || continue
        [ -n "${found[${cells[0]}]+set}" ] || SETTINGS+=("${cells[0]}")
        found[${cells[0]}]=$(of_size "${cells[place]}") ;;
    esac
  done <"$ROOT/run_scripts/defaults.tsv"
  for name in "${SETTINGS[@]}"; do
    # Set but empty is a choice, too: EMA_DECAY= goes without averaged weights.
    if [ -n "${!name+set}" ]; then GIVEN[$name]=yes; else printf -v "$name" %s "${found[$name]}"; fi
  done
}

# of_size CELL: "-" is nothing, a/b/c the part for tiny, medium or base.
of_size() {
  local parts
  case "$1" in
    -) return ;;
    */*/*)
      IFS=/ read -r -a parts <<<"$1"
      case "$SIZE" in micro | tiny) echo "${parts[0]}" ;; medium) echo "${parts[1]}" ;; *) echo "${parts[2]}" ;; esac ;;
    *) echo "$1" ;;
  esac
}

recipe_help() {
  local column=$1 name
  shift
  case "${1:-}" in -h | --help) ;; *) return 0 ;; esac
  (show_help "$@")
  cat <<TEXT
More: RUN_DIR, DATA, RESULTS (folders), BPE_DIR, ON_LEAK and DATA_OPTIONS (of the converter), ANSWERS,
TRAIN_LIMIT (rows), VALID_SPLIT, EVAL_SPLIT, EVAL_OPTIONS, CHECKPOINT (to evaluate); see
docs/run_scripts.md. Defaults, here of a start ${RESTORE:+not }from scratch (column $column of defaults.tsv):
TEXT
  for name in "${SETTINGS[@]}"; do printf '  %s=%s\n' "$name" "${!name}"; done
  exit 0
}

# Folders, and the vocabulary: a compact one of the training texts, unless BPE_DIR names another.
name_places() {
  : "${RUN_DIR:=$ROOT/runs/$TASK/$NAME}"
  : "${DATA:=$RUN_DIR/data}" "${ANSWERS:=$DATA/answers.json}" "${VALID_SPLIT:=valid}"
  if [ -z "${BPE_DIR:-}" ]; then
    [ -z "$RESTORE" ] || fail "RESTORE=$RESTORE needs the vocabulary of that model: BPE_DIR=FOLDER"
    BPE_DIR="$RUN_DIR/vocabulary"
  fi
  # Image codes and coordinate bins are part of the released vocabulary only.
  if [ "$BPE_DIR" = "$RUN_DIR/vocabulary" ] || [ -f "$BPE_DIR/vocabulary.json" ]; then
    [ -n "${GIVEN[CODES]:-}" ] || CODES=0
    # shellcheck disable=SC2153  # PATCH is a setting, too
    case "$TASK" in
      detection | visual_grounding)  # bins of their own, which end at the edge of the picture
        [ -n "${GIVEN[BINS]:-}" ] || BINS=65
        [ -n "${GIVEN[MAX_IMAGE_SIZE]:-}" ] || MAX_IMAGE_SIZE=$PATCH ;;
      *) [ -n "${GIVEN[BINS]:-}" ] || BINS=0 ;;
    esac
  fi
  if [ "$PRECISION" = fp16 ] && [ "$GPUS" = 0 ]; then
    [ -z "${GIVEN[PRECISION]:-}" ] || fail "PRECISION=fp16 needs a GPU; take bf16 or fp32"
    PRECISION=fp32
  fi
}

# convert MODULE [OPTION ...]: SOURCE to TSV files, and a vocabulary. What is there already is kept.
convert() {
  local module=$1 columns more=()
  shift
  if [ -n "${SOURCE:-}" ]; then
    read -ra more <<<"${DATA_OPTIONS:-}"
    PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" run python -m "data_utils.$module" "$SOURCE" \
      --output "$DATA" "$@" --on-leak "${ON_LEAK:-error}" "${more[@]}"
  elif [ ! -f "$DATA/train.tsv" ] && [ ! -f "$DATA/test.tsv" ]; then
    fail "name the data set, SOURCE=FOLDER, or converted files, DATA=FOLDER (see --help)"
  fi
  [ "$BPE_DIR" = "$RUN_DIR/vocabulary" ] && [ ! -f "$BPE_DIR/vocabulary.json" ] || return 0
  if [ "$TASK" = detection ]; then names_vocabulary; return; fi
  case "$TASK" in
    vqa_gen) columns=2,3,4 ;;
    caption | image_classify) columns=2 ;;
    *) columns=0,1 ;;
  esac
  run biomedgpt vocab train "$DATA/train.tsv" --column "$columns" --size "${VOCAB_SIZE:-4000}" --output "$BPE_DIR"
}

# A vocabulary of the names in the column of boxes, x0,y0,x1,y1,category,name joined by &&.
names_vocabulary() {
  [ "$DRY_RUN" = 1 ] || mkdir -p "$RUN_DIR"
  [ "$DRY_RUN" = 1 ] ||
    cut -f 3 "$DATA/train.tsv" | sed 's/&&/\n/g' | sed -E 's/^([^,]*,){5}/ /' >"$RUN_DIR/names.txt"
  run biomedgpt vocab train "$RUN_DIR/names.txt" --size "${VOCAB_SIZE:-400}" --output "$BPE_DIR"
}

# split_file NAME: its TSV file; training rows are those of TRAIN_LIMIT, taken at equal distances.
split_file() {
  local all="$DATA/$1.tsv" part="$RUN_DIR/train_${TRAIN_LIMIT:-}.tsv"
  if [ "$1" != train ] || [ -z "${TRAIN_LIMIT:-}" ]; then echo "$all"; return; fi
  if [ "$DRY_RUN" != 1 ] && [ ! "$part" -nt "$all" ]; then
    awk -v n="$TRAIN_LIMIT" -v rows="$(wc -l <"$all")" \
      'n >= rows || int(NR * n / rows) > int((NR - 1) * n / rows)' "$all" >"$part.partial"
    mv "$part.partial" "$part"
  fi
  echo "$part"
}

add() { [ -z "$2" ] || options+=("$1" "$2"); }
when() { [ "$1" != "$2" ] || options+=("${@:3}"); }

# Whether the task chooses from answers that the converter collected.
has_answers() {
  case "$TASK" in vqa_gen | image_classify | text_classify) ;; *) return 1 ;; esac
}

train_recipe() {
  local options=() extra save train valid key
  read -ra extra <<<"$EXTRA_OPTIONS"
  read -ra save <<<"$SAVE_OPTIONS"
  [ "$DRY_RUN" = 1 ] || mkdir -p "$RUN_DIR"
  train=$(split_file train) valid=$(split_file "$VALID_SPLIT")
  if has_answers; then options+=(--ans2label-file "$ANSWERS"); fi
  when "$TASK" caption --eval-cider
  when "$TASK" gigaword --eval-rouge
  options+=(--selected-cols "$SELECTED_COLS" --code-dict-size "$CODES" --num-bins "$BINS")
  add --max-src-length "$MAX_SRC_LENGTH"
  add --max-tgt-length "$MAX_TGT_LENGTH"
  # shellcheck disable=SC2153  # all of these are set by take_defaults
  add --patch-image-size "$PATCH"
  add --max-image-size "$MAX_IMAGE_SIZE"
  add --augmentation "$AUGMENTATION"
  add --prompt-type "$PROMPT_TYPE"
  add --val-inference-type "$VALID_SEARCH"
  add --eval-args "$VALID_EVAL_ARGS"
  options+=(--lr "$LR" --max-epoch "$EPOCHS" --batch-size "$BATCH_SIZE")
  add --warmup-ratio "$WARMUP_RATIO"
  add --max-update "$MAX_UPDATE"
  add --label-smoothing "$LABEL_SMOOTHING"
  add --dropout "$DROPOUT"
  add --attention-dropout "$ATTENTION_DROPOUT"
  add --encoder-drop-path-rate "$DROP_PATH"
  add --decoder-drop-path-rate "$DROP_PATH"
  add --resnet-drop-path-rate "$RESNET_DROP_PATH"
  when "$FREEZE_EMBEDDING" yes --freeze-encoder-embedding --freeze-decoder-embedding
  when "$FREEZE_RESNET" yes --freeze-resnet
  when "$PRECISION" fp16 --fp16-scale-window "$FP16_SCALE_WINDOW"
  # Averaged weights even out the noise of small batches.
  [ -z "$EMA_DECAY" ] || options+=(--store-ema --ema-fp32 --ema-decay "$EMA_DECAY" --uses-ema)
  [ -z "$BEST_METRIC" ] || options+=(--best-checkpoint-metric "$BEST_METRIC" --maximize-best-checkpoint-metric)
  add --patience "$PATIENCE"
  add --fixed-validation-seed "$VALID_SEED"
  options+=("${save[@]}" "${extra[@]}" "$@")

  # A run that stopped early would go on for --patience epochs more, hence the note of its end.
  key="$SIZE $SEED $RESTORE ${options[*]}"
  [ "$DRY_RUN" = 1 ] || key+=" $(stat -c '%n %s %Y' "$train" "$valid")"
  if [ "$(cat "$RUN_DIR/checkpoints/finished" 2>/dev/null)" = "$key" ]; then
    echo "training is complete: $RUN_DIR/checkpoints" >&2
    return
  fi
  launch_train "$TASK" "$train,$valid" "$RUN_DIR/checkpoints" "${options[@]}"
  [ "$DRY_RUN" = 1 ] || echo "$key" >"$RUN_DIR/checkpoints/finished"
}

evaluate_recipe() {
  local options=() more split=${EVAL_SPLIT:-test}
  if [ -z "${EVAL_SPLIT:-}" ] && [ -f "$DATA/valid.tsv" ] && [ ! -f "$DATA/test.tsv" ]; then
    echo "no test rows: the validation rows are evaluated" >&2
    split=valid
  fi
  if [ "$split" = test ]; then : "${RESULTS:=$RUN_DIR/results}"; else : "${RESULTS:=$RUN_DIR/results_$split}"; fi
  if [ -n "${CHECKPOINT:-}" ]; then
    # The folders that a checkpoint from elsewhere names may not be here.
    options+=(--bpe-dir "$BPE_DIR")
    if has_answers; then options+=(--model-overrides "{\"ans2label_file\": \"$ANSWERS\"}"); fi
  fi
  add --selected-cols "$TEST_COLS"
  add --eval-args "$TEST_EVAL_ARGS"
  when "$TEST_SEARCH" beamsearch --beam-search-vqa-eval
  [ -z "$EMA_DECAY" ] || options+=(--ema-eval)
  read -ra more <<<"${EVAL_OPTIONS:-}"
  launch_evaluate "$(split_file "$split")" "${CHECKPOINT:-$RUN_DIR/checkpoints/checkpoint_best.pt}" \
    "$RESULTS" --batch-size "${TEST_BATCH_SIZE:-$BATCH_SIZE}" "${options[@]}" "${more[@]}"
}
