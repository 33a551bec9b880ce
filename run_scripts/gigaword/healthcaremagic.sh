#!/usr/bin/env bash
# Summaries of consultations, HealthCareMagic of MedDialog.
# Recipe: that of the nearest published set, MeQSum (meqsum).
# Usage: SOURCE=meddialog bash run_scripts/gigaword/healthcaremagic.sh [fairseq-train options]
# SOURCE: folder with healthcaremagic_dialogue_*.txt, or one such file.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe meqsum meddialog --set healthcaremagic -- "$@"
