#!/usr/bin/env bash
# Boxes of red cells, white cells and platelets on blood smears, BCCD.
# Recipe: that of the nearest published set, captions of PEIR Gross, for boxes (detection).
# Usage: SOURCE=BCCD bash run_scripts/detection/bccd.sh [fairseq-train options]
# SOURCE: folder with JPEGImages, Annotations and ImageSets/Main.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe detection bccd -- "$@"
