#!/usr/bin/env bash
# Impressions from the findings of MIMIC-III radiology reports.
# Recipe: that of the nearest published set, MeQSum (meqsum).
# Usage: SOURCE=NOTEEVENTS.csv.gz bash run_scripts/gigaword/mimic_iii.sh [fairseq-train options]
# SOURCE: NOTEEVENTS.csv or NOTEEVENTS.csv.gz. DESCRIPTION: only examinations that this expression
# finds. Patients share sentences: ON_LEAK is keep.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
: "${ON_LEAK:=keep}"
run_recipe meqsum mimic_iii ${DESCRIPTION:+--description "$DESCRIPTION"} -- "$@"
