#!/bin/sh
# One node of a Ray cluster for `--engine ray`. On the first machine: recipes/cluster/ray.sh head
# On every other: recipes/cluster/ray.sh FIRST:6379. Further words go to `ray start` (--block, --num-gpus=1 …).
#
# SLOTS: cores that judge and time here (default: all but one). RAY: the command (default: ray).
# All nodes and the driver need one token: `ray get-auth-token --generate` on one, ~/.ray/auth_token copied to the others.
set -eu
cpus=$(nproc)
slots=${SLOTS:-$((cpus > 1 ? cpus - 1 : 1))}
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}" RAY_USAGE_STATS_ENABLED="${RAY_USAGE_STATS_ENABLED:-0}"
first=${1:?head, or the address of the first machine}
shift
if [ "$first" = head ]; then
    set -- --head --include-dashboard=false "$@"
else
    set -- --address="$first" "$@"
fi
exec "${RAY:-ray}" start --resources="{\"timing_slot\": $slots}" --disable-usage-stats "$@"
