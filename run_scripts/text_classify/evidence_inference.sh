#!/usr/bin/env bash
# What a trial found about an outcome, Evidence Inference 2.0.
# Recipe: that of the nearest published set, MedNLI (column text_classify).
# Usage: SOURCE=annotations bash run_scripts/text_classify/evidence_inference.sh [fairseq-train options]
# SOURCE: the folder annotations of the release.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe text_classify evidence_inference -- "$@"
