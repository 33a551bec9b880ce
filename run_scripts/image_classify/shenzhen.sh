#!/usr/bin/env bash
# Tuberculosis on chest x-rays of Shenzhen or Montgomery County.
# Recipe: that of the nearest published sets, MedMNIST (medmnist).
# Usage: SOURCE=CXR_png bash run_scripts/image_classify/shenzhen.sh [fairseq-train options]
# SOURCE: the folder CXR_png of either set.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe medmnist shenzhen -- "$@"
