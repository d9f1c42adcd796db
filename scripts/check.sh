#!/usr/bin/env bash
# Before a commit: lint, format, types, and the tests of what changed.
#   scripts/check.sh          the tests of the files that differ from the last commit
#   scripts/check.sh --all    all tests
#   scripts/check.sh --list   only prints the tests that would run
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
case "${1:-}" in
  --all) tests=tests ;;
  --list | "") tests=$("$python" scripts/changed_tests.py) ;; # fails if a module has no test
  *) echo "option is '$1'; expected --all, --list or none." >&2; exit 2 ;;
esac
if [ "${1:-}" = "--list" ]; then echo "$tests"; exit; fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# shellcheck disable=SC2086
exec "$python" -m pytest -m "not sweep" tests/test_imports.py tests/test_light_imports.py $tests
