#!/usr/bin/env bash
# All tests: first those that only need a processor, side by side; then those that start containers, kill things or
# time programs, one after the other and with the machine to themselves. `make test` runs this.
#
# scripts/test.sh PYTHON
set -uo pipefail
cd "$(dirname "$0")/.."
python="$1"
alone="docker or hostile or e2e or ray or faults"

"$python" -m pytest -m "not ($alone)" --numprocesses auto --dist worksteal
beside=$?
if [ "$beside" = 2 ]; then exit 2; fi # interrupted, or a file that can't be read
"$python" -m pytest -m "$alone"
status=$?
if [ "$status" = 5 ]; then status=0; fi # none was left to run: SKIP_DOCKER=1
if [ "$beside" != 0 ]; then
    echo "failed among the tests that ran side by side: see the first of the two summaries" >&2
    exit "$beside"
fi
exit "$status"
