#!/usr/bin/env bash
# Boxes of both lungs on chest x-rays, from the COVID-19 image data collection.
# Recipe: that of the nearest published set, captions of PEIR Gross, for boxes (detection).
# Usage: SOURCE=covid_chestxray bash run_scripts/detection/covid_chestxray.sh [fairseq-train options]
# SOURCE: folder with annotations/annotations.json and images. LICENSES: only those this expression finds.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe detection covid_lungs --licenses "${LICENSES:=}" -- "$@"
