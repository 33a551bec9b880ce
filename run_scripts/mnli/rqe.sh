#!/usr/bin/env bash
# Entailment between health questions, RQE.
# Recipe: that of the nearest published set, MedNLI (mednli).
# Usage: SOURCE=rqe bash run_scripts/mnli/rqe.sh [fairseq-train options]
# SOURCE: folder with RQE_Train*.xml and RQE_Test*.xml. FALSE_LABEL: what "false" becomes, 0
# (neutral, default) or 2 (contradiction).
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe mednli rqe --false-label "${FALSE_LABEL:=0}" -- "$@"
