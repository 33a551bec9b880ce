#!/usr/bin/env bash
# Captions of gross pathology photographs, PEIR Gross, by the published recipe (peir_gross).
# Usage: SOURCE=peir_gross bash run_scripts/caption/peir_gross.sh [fairseq-train options]
# SOURCE: folder with train_images.tsv, test_images.tsv and peir_gross_images/.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe peir_gross peir_gross -- "$@"
