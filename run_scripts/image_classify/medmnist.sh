#!/usr/bin/env bash
# Image classification on a MedMNIST 2-D subset, by the published recipe (medmnist).
# Usage: NPZ=pneumoniamnist.npz bash run_scripts/image_classify/medmnist.sh [fairseq-train options]
# NPZ: the .npz file of the subset. LABELS: its class names (default: labels.json beside it, or the
# published ones). Rows that splits share are dropped from the earlier: ON_LEAK is drop.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
SOURCE=${NPZ:-${SOURCE:-}}
[ -z "$SOURCE" ] || NAME=$(basename "$SOURCE" .npz)
: "${ON_LEAK:=drop}"
run_recipe medmnist medmnist ${LABELS:+--labels "$LABELS"} -- "$@"
