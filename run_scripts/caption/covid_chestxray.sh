#!/usr/bin/env bash
# Captions of chest x-rays, the clinical notes of the COVID-19 image data collection.
# Recipe: that of the nearest published set, PEIR Gross (peir_gross).
# Usage: SOURCE=covid_chestxray bash run_scripts/caption/covid_chestxray.sh [fairseq-train options]
# SOURCE: folder with metadata.csv and the pictures. LICENSES: only those this expression finds.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe peir_gross covid_chestxray --licenses "${LICENSES:=}" -- "$@"
