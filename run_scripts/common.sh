#!/usr/bin/env bash
# Shared by all run scripts, which source it: settings, training and evaluation commands.
# Every setting is an environment variable with a default; more options go behind the script's name.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH="${VENV:-$ROOT/.venv}/bin:$PATH"

: "${MODE:=all}"          # data, train, eval or all
: "${DRY_RUN:=0}"         # 1: only print the commands
: "${SIZE:=tiny}"         # micro, tiny, medium, base, large, huge
: "${SEED:=1}"
: "${NUM_WORKERS:=2}"
: "${RESTORE:=}"          # checkpoint to start from; empty: from scratch
: "${GPUS:=$(nvidia-smi -L 2>/dev/null | wc -l)}"
: "${NODES:=1}" "${MASTER:=}"  # machines, and the address of one of them: HOST:PORT

# The text before `set` in a script is its --help.
show_help() {
  case "${1:-}" in -h | --help)
    sed -n '2,/^set /{/^#/!d;s/^# \{0,1\}//p}' "$0"
    cat <<'TEXT'
Shared settings: MODE (data, train, eval or all), DRY_RUN (1 prints the commands), SIZE, SEED, GPUS,
NUM_WORKERS, UPDATE_FREQ, PRECISION (fp32, bf16, fp16), RESTORE (a checkpoint to start from).
NODES machines train together when each runs the same command, with MASTER=HOST:PORT of one of them.
TEXT
    exit 0 ;;
  esac
}

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

run() {
  printf '+' >&2
  printf ' %q' "$@" >&2
  printf '\n' >&2
  [ "$DRY_RUN" = 1 ] || "$@"
}

wants() { [ "$MODE" = all ] || [ "$MODE" = "$1" ]; }

# launch_train TASK DATA SAVE_DIR [OPTION ...]
launch_train() {
  local task=$1 data=$2 save_dir=$3
  shift 3
  local program=(fairseq-train) device=() precision=() restore=()
  if [ "$NODES" -gt 1 ]; then
    [ -n "$MASTER" ] || fail "NODES=$NODES needs the address of one machine: MASTER=HOST:PORT"
    program=(torchrun --nnodes "$NODES" --rdzv-backend c10d --rdzv-endpoint "$MASTER" --rdzv-id "$task")
  elif [ "$GPUS" -gt 1 ]; then
    program=(torchrun --standalone)
  fi
  if [ "${program[0]}" = torchrun ]; then
    program+=(--nproc_per_node "$((GPUS > 0 ? GPUS : 1))" "$(command -v fairseq-train)")
    device=(--find-unused-parameters)  # text-only batches, for one, leave the image trunk unused
  fi
  if [ "$GPUS" = 0 ]; then
    device+=(--cpu)
    [ "$NODES" -gt 1 ] || device+=(--distributed-world-size 1)
  fi
  [ "${PRECISION:=fp32}" = fp32 ] || precision=("--$PRECISION")
  [ -z "$RESTORE" ] || restore=(--restore-file "$RESTORE" --reset-optimizer --reset-dataloader --reset-meters)
  [ "$DRY_RUN" = 1 ] || mkdir -p "$save_dir"
  run "${program[@]}" "$data" --user-dir "$ROOT/biomedgpt_fairseq" --task "$task" \
    --arch "ofa_$SIZE" --criterion adjust_label_smoothed_cross_entropy \
    --bpe-dir "$BPE_DIR" --save-dir "$save_dir" --tensorboard-logdir "$save_dir/tensorboard" \
    --log-file "$save_dir/train.log" --log-format json --log-interval 20 \
    --encoder-normalize-before --decoder-normalize-before --share-all-embeddings \
    --share-decoder-input-output-embed --layernorm-embedding --patch-layernorm-embedding \
    --code-layernorm-embedding --add-type-embedding --scale-attn --scale-fc --scale-heads \
    --disable-entangle --optimizer adam --adam-betas "${ADAM_BETAS:-(0.9,0.999)}" \
    --adam-eps "${ADAM_EPS:-1e-8}" --weight-decay "${WEIGHT_DECAY:-0.01}" --clip-norm "${CLIP_NORM:-1.0}" \
    --lr-scheduler polynomial_decay \
    --seed "$SEED" --num-workers "$NUM_WORKERS" --update-freq "${UPDATE_FREQ:-1}" \
    --required-batch-size-multiple 1 "${device[@]}" "${precision[@]}" "${restore[@]}" "$@"
}

# launch_evaluate DATA CHECKPOINT RESULTS [OPTION ...]
launch_evaluate() {
  local data=$1 checkpoint=$2 results=$3
  shift 3
  local device=()
  [ "$GPUS" != 0 ] || device=(--cpu)
  run biomedgpt evaluate "$data" --path "$checkpoint" --results-path "$results" "${device[@]}" "$@"
  [ "$DRY_RUN" = 1 ] || echo "report: $results/report.html"
}
