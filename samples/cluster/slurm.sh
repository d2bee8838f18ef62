#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Submits the shards of a plan to Slurm as an array, and a dependent job that joins them:
#
#     videnhance plan film.mkv out.mkv --task denoise,sr --shards 16 -o plan.json
#     CPUS=8 slurm.sh plan.json
#
# Plan, source, program and models must be accessible from all nodes. Prints the numbers of both jobs. If a shard
# fails for good, the join is cancelled; submitting the plan again makes only what is missing.
# SBATCH_... variables of sbatch, such as SBATCH_PARTITION, apply to both.
set -eu

case ${1:-} in
shard | join)
  # Inside a job. Requeue the task after temporary errors: 75, out of memory (70), killed (137).
  code=0
  # The batch shell receives SIGTERM first and must forward it.
  videnhance "$1" "$2" --progress lines & child=$!
  trap 'kill -TERM "$child" 2>/dev/null' TERM
  wait "$child" || code=$?
  # A trap ends the first wait before the program has ended.
  if kill -0 "$child" 2>/dev/null; then
    code=0
    wait "$child" || code=$?
  fi
  case $code in
  # The film is whole, but something that the container cannot hold was left out; the log names it.
  2) code=0 ;;
  70 | 75 | 137)
    if [ "${SLURM_RESTART_COUNT:-0}" -lt 5 ]; then
      scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
    fi
    ;;
  esac
  exit "$code"
  ;;
esac

plan=${1:?usage: slurm.sh plan.json}
script=$(realpath "$0")
shards=$(videnhance status "$plan" --json | grep -c '"index"')
array=$(sbatch --parsable --requeue --open-mode=append --signal=B:TERM@30 --array="0-$((shards - 1))" \
  --cpus-per-task="${CPUS:-4}" --job-name=videnhance --output=videnhance-%A_%a.log "$script" shard "$plan")
echo "array $array: shards 0 to $((shards - 1))"
join=$(sbatch --parsable --requeue --open-mode=append --dependency="afterok:$array" --cpus-per-task=1 \
  --kill-on-invalid-dep=yes --job-name=videnhance-join --output=videnhance-%j.log "$script" join "$plan")
echo "join $join"
