#!/bin/sh
# Sample on GPU nodes, annotate on CPU nodes, gather: three jobs, each after the one before.
#
#   SHARDS=8 recipes/cluster/slurm.sh --data_path mbpp --save_path x --root /shared/runs
#
# SHARDS: jobs per stage. SAMPLE_ARGS, ANNOTATE_ARGS: further options of one stage (--n_seq 100). SAMPLE_SBATCH,
# ANNOTATE_SBATCH: what Slurm needs to know (--partition=gpu --gres=gpu:1). NO_SAMPLING=1: samples are there already.
set -eu
here=$(dirname "$0")
last=$((${SHARDS:?how many jobs per stage} - 1))
after=
if [ -z "${NO_SAMPLING:-}" ]; then
    # shellcheck disable=SC2086  # several words each
    job=$(sbatch --parsable --array="0-$last" ${SAMPLE_SBATCH:-} "$here/shard.sbatch" sample "$@" ${SAMPLE_ARGS:-})
    after="--dependency=afterok:$job"
fi
# shellcheck disable=SC2086
job=$(sbatch --parsable --array="0-$last" $after ${ANNOTATE_SBATCH:-} "$here/shard.sbatch" annotate "$@" ${ANNOTATE_ARGS:-})
sbatch --dependency="afterok:$job" "$here/gather.sbatch" "$@"
