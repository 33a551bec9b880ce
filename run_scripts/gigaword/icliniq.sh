#!/usr/bin/env bash
# Summaries of consultations, iCliniq of MedDialog.
# Recipe: that of the nearest published set, MeQSum (meqsum).
# Usage: SOURCE=meddialog bash run_scripts/gigaword/icliniq.sh [fairseq-train options]
# SOURCE: folder with icliniq_dialogue*.txt, or one such file.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe meqsum meddialog --set icliniq -- "$@"
