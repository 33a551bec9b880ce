#!/usr/bin/env bash
# Inference between clinical sentences, MedNLI, by the published recipe (mednli).
# Usage: SOURCE=mednli bash run_scripts/mnli/mednli.sh [fairseq-train options]
# SOURCE: folder with mli_train_v1.jsonl, mli_dev_v1.jsonl and mli_test_v1.jsonl.
set -euo pipefail
# shellcheck source=run_scripts/recipe.sh
source "$(dirname "$0")/../recipe.sh"
run_recipe mednli mednli -- "$@"
