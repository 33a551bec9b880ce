#!/usr/bin/env bash
# Does a clinical trial fit a patient, TREC 2021 or 2022.
# Recipe: that of the nearest published set, MedNLI (column text_classify).
# Usage: SOURCE=trec bash run_scripts/text_classify/trec_trials.sh [fairseq-train options]
# SOURCE: folder with topics*.xml, qrels*.txt and the trials, NCT*.xml.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe text_classify trec_trials -- "$@"
