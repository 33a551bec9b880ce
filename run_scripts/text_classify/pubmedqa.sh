#!/usr/bin/env bash
# Questions answered by yes, no or maybe from an abstract, PubMedQA.
# Recipe: that of the nearest published set, MedNLI (column text_classify).
# Usage: SOURCE=pubmedqa bash run_scripts/text_classify/pubmedqa.sh [fairseq-train options]
# SOURCE: folder with ori_pqal.json and test_ground_truth.json.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe text_classify pubmedqa -- "$@"
