#!/usr/bin/env bash
# Before a commit: lint, format, types, and the tests of what changed (all of them with --all).
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
if [ "${1:-}" = "--all" ]; then exec "$python" -m pytest; fi
changed=$( (git diff --name-only HEAD; git ls-files --others --exclude-standard) | grep '\.py$' || true)
tests=$(for file in $changed; do
  case "$file" in
    tests/*test_*.py) echo "$file" ;;
    kd_keras/*) name=tests/${file#kd_keras/}; echo "$(dirname "$name")/test_$(basename "$name")" ;;
  esac
done | sort -u | while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done)
# shellcheck disable=SC2086
exec "$python" -m pytest tests/test_imports.py $tests
