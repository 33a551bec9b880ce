#!/usr/bin/env bash
# Visual question answering without training: free answers of a pretrained checkpoint.
# Recipe: the evaluation of the published one (vqa_rad); pictures as large as in pretraining.
# Usage: CHECKPOINT=pretrained.pt BPE_DIR=vocab SOURCE=vqa-rad bash run_scripts/vqa_gen/zero_shot.sh
# SOURCE: the data set in the form that DATASET reads, a converter of questions (default vqa_rad).
# BPE_DIR: the vocabulary of the checkpoint. EMA_DECAY=yes: its averaged weights.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
RESTORE=${CHECKPOINT:=${RESTORE:-}}
: "${DATASET:=vqa_rad}" "${ON_LEAK:=keep}" "${EMA_DECAY:=}" "${RUN_DIR:=$ROOT/runs/vqa_gen/zero_shot/$DATASET}"
EVAL_OPTIONS="--task vqa_gen --zero-shot ${EVAL_OPTIONS:-}"
start_recipe vqa_rad "$@"
[ -n "$CHECKPOINT" ] || fail "name the pretrained model: CHECKPOINT=FILE"
if [ "$MODE" != eval ]; then convert "$DATASET"; fi
if [ "$MODE" != data ]; then evaluate_recipe; fi
