#!/usr/bin/env bash
# Captions of chest x-rays, IU X-ray (Open-i).
# Recipe: that of the nearest published set, PEIR Gross (peir_gross).
# Usage: SOURCE=iu_xray bash run_scripts/caption/iu_xray.sh [fairseq-train options]
# SOURCE: folder with train_images.tsv, test_images.tsv and iu_xray_images/, or annotation.json and
# images/.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe peir_gross iu_xray -- "$@"
