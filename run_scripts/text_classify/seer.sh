#!/usr/bin/env bash
# First course of treatment from a description of the case, SEER.
# Recipe: that of the nearest published set, MedNLI (column text_classify).
# Usage: SOURCE=export.csv bash run_scripts/text_classify/seer.sh [fairseq-train options]
# SOURCE: a case listing of SEER*Stat as CSV. COLUMNS_USED: those of the description, joined by ;
# (default: all). Cases may have equal descriptions: ON_LEAK is keep.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${ON_LEAK:=keep}"
run_recipe text_classify seer ${COLUMNS_USED:+--columns "$COLUMNS_USED"} -- "$@"
