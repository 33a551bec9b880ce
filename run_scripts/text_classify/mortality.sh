#!/usr/bin/env bash
# In-hospital mortality from admission notes of MIMIC-III.
# Recipe: that of the nearest published set, MedNLI (column text_classify).
# Usage: SOURCE=notes bash run_scripts/text_classify/mortality.sh [fairseq-train options]
# SOURCE: folder with MP_IN_adm_train.csv, MP_IN_adm_val.csv and MP_IN_adm_test.csv.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe text_classify mortality -- "$@"
