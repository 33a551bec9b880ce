#!/usr/bin/env bash
# Impressions from the findings of Indiana chest x-ray reports.
# Recipe: that of the nearest published set, MeQSum (meqsum).
# Usage: SOURCE=indiana_dev.json bash run_scripts/gigaword/indiana_reports.sh [fairseq-train options]
# SOURCE: indiana_dev.json of MEDIQA 2021 task 3.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe meqsum indiana_reports -- "$@"
