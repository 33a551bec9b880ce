#!/usr/bin/env bash
# Captions of figures of articles, ROCO.
# Recipe: that of the nearest published set, PEIR Gross (peir_gross).
# Usage: SOURCE=roco/data bash run_scripts/caption/roco.sh [fairseq-train options]
# SOURCE: folder with train/, validation/ and test/. KINDS: radiology (default), non-radiology or
# both, by comma.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe peir_gross roco --kinds "${KINDS:=radiology}" -- "$@"
