#!/usr/bin/env bash
# Checks style, types and scripts, then runs the tests; options go to pytest.
# Usage: bash run_scripts/test.sh [PYTEST OPTION ...]      e.g. -k trie, -m 'not slow', -n 0 (in one process)
# All checks run; the exit status is that of the first that failed.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-$PWD/.venv}
VENV="$VENV" bash run_scripts/setup.sh
export PATH="$VENV/bin:$PATH" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

status=0
check() {
  echo "== $*" | cut -c-100
  "$@" || { local code=$?; [ "$status" -ne 0 ] || status=$code; }
}
mapfile -t scripts < <(find benchmarks run_scripts tests .ci -type f \( -name '*.sh' -o -name run \) | sort)

check ruff check .
check ruff format --check .
check mypy
check shellcheck --external-sources "${scripts[@]}"
check python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
exit "$status"
