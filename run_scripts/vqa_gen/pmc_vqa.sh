#!/usr/bin/env bash
# Visual question answering on PMC-VQA.
# Recipe: that of the nearest published set, VQA-RAD (vqa_rad).
# Usage: SOURCE=pmc_vqa bash run_scripts/vqa_gen/pmc_vqa.sh [fairseq-train options]
# SOURCE: folder with train_2.csv, test_2.csv and figures/. VERSION: 2 (default) or 1.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe vqa_rad pmc_vqa --version "${VERSION:=2}" -- "$@"
