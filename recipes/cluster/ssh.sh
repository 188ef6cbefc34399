#!/bin/sh
# Annotate on several machines with a shared folder, one shard each, then gather here. Run again, it goes on.
#
#   HOSTS="alpha beta" recipes/cluster/ssh.sh --data_path mbpp --save_path x --root /shared/runs
#
# CODE_OPTIMISE: the command on those machines (default: code-optimise). Options must have no spaces in them.
set -eu
command=${CODE_OPTIMISE:-code-optimise}
# shellcheck disable=SC2086  # several words
count=$(set -- ${HOSTS:?machines, by the names that ssh knows}; echo $#)
number=0
jobs=
for host in $HOSTS; do
    number=$((number + 1))
    ssh "$host" "$command annotate --shard $number/$count $*" &
    jobs="$jobs $!"
done
failed=0
for job in $jobs; do wait "$job" || failed=1; done
if [ "$failed" = 1 ]; then
    echo "a machine failed: mend it and run this again" >&2
    exit 1
fi
exec "$command" gather "$@"
