#!/usr/bin/env bash
# What pretraining brings when labels are few: questions about phantoms are answered after fine-tuning
# on 1, 10 and 100 % of the labels, from a pretrained network and from scratch, three seeds each; then
# from networks whose pretraining lacked one of the four kinds of rows. TARGET: questions, or the
# classes modality or finding.
# Usage: bash benchmarks/label_fractions.sh
# Settings: RUN_DIR (default runs/label_fractions), PRETRAIN_ROWS, BOX_ROWS, UPDATES (of pretraining), SEEDS,
# LEFT_OUT (kinds), SHARES (in per cent), LEFT_OUT_SHARES, RATES (learning rates to choose from).
set -euo pipefail
export SIZE=${SIZE:-micro} GPUS=${GPUS:-0} NUM_WORKERS=${NUM_WORKERS:-0}
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/label_fractions}" "${PRETRAIN_ROWS:=12000}" "${BOX_ROWS:=6000}" "${UPDATES:=700}" "${SEEDS:=1 2 3}"
: "${LEFT_OUT=train text image detection}" "${SHARES=1 10 100}" "${LEFT_OUT_SHARES:=1}"
: "${RATES:=1e-4 3e-4 1e-3}" "${ROWS:=3000}" "${VALID_ROWS:=300}" "${TEST_ROWS:=1000}" "${PATCH:=64}" "${TARGET:=questions}"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
DATA="$RUN_DIR/data" RUNS="$RUN_DIR/$TARGET" LABELS="$RUN_DIR/$TARGET/labels" BPE_DIR="$RUN_DIR/vocabulary"
# One network for all: the same vocabulary, image codes and location bins.
NETWORK=(--patch-image-size "$PATCH" --code-dict-size 256 --num-bins 65 --entangle-position-embedding)
case "$TARGET" in
  questions) DRAWN=(--task vqa) TASK=(vqa_gen --selected-cols "0,5,2,3,4") ;;
  *) DRAWN=(--task classify --labels "$TARGET") TASK=(image_classify --selected-cols "0,2" --augmentation none) ;;
esac
# Boxes weigh more than in the released models' mixture, as minutes have to do.
declare -A WEIGHTS=([train]=4 [text]=1 [image]=1 [detection]=4)
KINDS=(train text image detection)
declare -A FILES=(
  [text]="$DATA/text.tsv" [image]="$DATA/codes/image.tsv" [detection]="$RUN_DIR/boxes/detection.tsv"
  [valid_text]="$DATA/valid_text.tsv" [valid_image]="$DATA/codes/valid_image.tsv" [valid_detection]="$DATA/valid_detection.tsv"
)

prepare() {
  run biomedgpt phantoms --task pretrain --output "$DATA" --train "$PRETRAIN_ROWS" --valid 200 --test 0 \
    --size "$PATCH" --num-codes 256 --seed "$SEED"
  run biomedgpt phantoms --task detection --output "$RUN_DIR/boxes" --train "$BOX_ROWS" --valid 0 --test 0 \
    --size "$PATCH" --seed "$((SEED + 2))"
  [ "$DRY_RUN" = 1 ] || cp "$RUN_DIR/boxes/train.tsv" "$RUN_DIR/boxes/detection.tsv"
  # Another seed: no case of the pretraining is one of the labelled ones.
  run biomedgpt phantoms "${DRAWN[@]}" --output "$LABELS" --train "$ROWS" --valid "$VALID_ROWS" \
    --test "$TEST_ROWS" --size "$PATCH" --seed "$((SEED + 1))"
  for split in image valid_image; do
    [ -f "$DATA/codes/$split.tsv" ] || run biomedgpt image-codes extract --cpu --num-workers 0 --size "$((PATCH / 2))" \
      --pretrain --input "$DATA/$split.tsv" --selected-cols 0,1 --output "$DATA/codes/$split.tsv"
  done
  [ -d "$BPE_DIR" ] || run biomedgpt vocab train "$DATA/corpus.txt" --size 1000 --output "$BPE_DIR"
}

# A run that was stopped has a checkpoint, too.
finished() { [ "$DRY_RUN" != 1 ] && grep -qs "done training" "$1/train.log"; }

# pretrain NAME [KIND]: NAME is all, or what is left out: KIND.
pretrain() {
  local kind weights='' sources=()
  ! finished "$RUN_DIR/$1" || return 0
  for kind in "${KINDS[@]}"; do
    if [ "$kind" = "${2:-}" ]; then weights+=", \"$kind\": 0"; else weights+=", \"$kind\": ${WEIGHTS[$kind]}"; fi
  done
  for kind in text image detection; do
    sources+=("--$kind-data" "${FILES[$kind]}" "--valid-$kind-data" "${FILES[valid_$kind]}")
  done
  launch_train unify_task "$DATA/train.tsv,$DATA/valid.tsv" "$RUN_DIR/$1" "${NETWORK[@]}" "${sources[@]}" \
    --neg-sample-dir "$DATA/negatives" --mixture-weights "{${weights#, }}" --code-image-size "$((PATCH / 2))" \
    --max-image-size "$PATCH" --sample-patch-num "$(((PATCH / 16) ** 2))" --detection-flip 0 \
    --batch-size 20 --lr 1e-3 --warmup-ratio 0.05 --max-update "$UPDATES" --no-epoch-checkpoints --validate-interval 100
}

# fine_tune START SHARE SEED RATE: on rows that the seed chooses. START: scratch or a pretraining.
fine_tune() {
  local RESTORE='' SEED=$3 count=$((ROWS * $2 / 100)) batch=64 epochs=3
  local save_dir="$RUNS/fine_tuned/$1/$2/$3/$4" rows="$RUNS/rows/$2_$3.tsv"
  ! finished "$save_dir" || return 0
  # Little data is seen more often, in smaller batches.
  if [ "$2" -le 1 ]; then batch=16 epochs=50; elif [ "$2" -le 10 ]; then batch=32 epochs=12; fi
  [ "$1" = scratch ] || RESTORE="$RUN_DIR/$1/checkpoint_last.pt"
  if [ "$DRY_RUN" != 1 ]; then
    mkdir -p "$RUNS/rows"
    sed -n "$(((count * ($3 - 1)) % ROWS + 1)),+$((count - 1))p" "$LABELS/train.tsv" >"$rows"
  fi
  launch_train "${TASK[0]}" "$rows,$LABELS/valid.tsv" "$save_dir" "${TASK[@]:1}" "${NETWORK[@]}" \
    --ans2label-file "$LABELS/answers.json" --val-inference-type allcand \
    --batch-size "$batch" --lr "$4" --warmup-ratio 0.1 --max-epoch "$epochs" --validate-interval "$epochs" \
    --no-epoch-checkpoints
}

# best_rate START SHARE: the learning rate whose first seed did best on the validation rows.
best_rate() {
  if [ "$DRY_RUN" = 1 ]; then echo "${RATES%% *}"; return; fi
  python -m benchmarks.label_fractions "$RUNS" --best-rate "$1" "$2" "${SEEDS%% *}"
}

# arm START SHARE: a learning rate by the first seed, then all seeds.
arm() {
  local rate chooser=$1 seed
  case "$1" in
    without_*) chooser=all ;;
    *) for rate in $RATES; do fine_tune "$1" "$2" "${SEEDS%% *}" "$rate"; done ;;
  esac
  rate=$(best_rate "$chooser" "$2")
  for seed in $SEEDS; do fine_tune "$1" "$2" "$seed" "$rate"; done
}

if wants data; then prepare; fi
if wants train; then
  [ -z "$SHARES" ] || pretrain all
  for share in $SHARES; do arm all "$share"; arm scratch "$share"; done
  for kind in $LEFT_OUT; do
    pretrain "without_$kind" "$kind"
    for share in $LEFT_OUT_SHARES; do arm "without_$kind" "$share"; done
  done
fi
if wants eval; then
  run python -m benchmarks.label_fractions "$RUNS" --json "$RUNS/label_fractions.json" \
    --svg "$RUNS/label_fractions.svg"
fi
