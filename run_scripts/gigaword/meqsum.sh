#!/usr/bin/env bash
# Summaries of health questions, MeQSum, by the published recipe (meqsum).
# Usage: SOURCE=meqsum bash run_scripts/gigaword/meqsum.sh [fairseq-train options]
# SOURCE: folder with train.tsv, val.tsv and test.tsv, or the workbook MeQSum_ACL2019.xlsx.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe meqsum meqsum -- "$@"
