#!/usr/bin/env bash
# Impressions from the findings of MIMIC-CXR reports.
# Recipe: that of the nearest published set, MeQSum (meqsum).
# Usage: SOURCE=mimic-cxr bash run_scripts/gigaword/mimic_cxr.sh [fairseq-train options]
# SOURCE: the unpacked reports, files/pNN/pSUBJECT/sSTUDY.txt. SPLIT_LIST: the table of the official
# splits (default: drawn by patient). Patients share sentences: ON_LEAK is keep.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${ON_LEAK:=keep}"
run_recipe meqsum mimic_cxr ${SPLIT_LIST:+--split-list "$SPLIT_LIST"} -- "$@"
