#!/usr/bin/env bash
# Makes .venv with the tested versions, tools for tests and metrics, and this project (editable).
# Usage: bash run_scripts/setup.sh        Settings: PYTHON (3.11 or newer), VENV (default .venv)
# Does nothing when setup.py, requirements.txt and engine/ are as they were at the last run.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-$PWD/.venv}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $PYTHON is $("$PYTHON" --version 2>&1), but Python 3.11 or newer is needed; set PYTHON" >&2
  exit 1
}
stamp=$({
  "$PYTHON" --version
  pwd
  find setup.py requirements.txt engine -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
} | sha256sum)
if [ "$(cat "$VENV/setup-stamp" 2>/dev/null)" = "$stamp" ]; then
  echo "setup: $VENV is up to date"
  exit 0
fi

command -v "${CXX:-c++}" "${CC:-cc}" >/dev/null ||
  echo "setup: no C++ compiler: fairseq's data helpers will be the slower ones in Python" >&2
command -v java >/dev/null || {
  echo "setup: no java: METEOR is left out and captions are tokenized by another program;" >&2
  echo "setup: 'apt-get install default-jre-headless' installs it" >&2
}

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
"$VENV/bin/python" -m pip install --disable-pip-version-check --quiet \
  --requirement requirements.txt --editable '.[metrics,cluster,dedupe,dev]'
"$VENV/bin/python" -m pip check
echo "$stamp" >"$VENV/setup-stamp"
echo "setup: $VENV is ready; 'source $VENV/bin/activate' puts fairseq-train and biomedgpt on the PATH"
