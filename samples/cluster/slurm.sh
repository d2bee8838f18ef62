#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Submits the shards of a plan to Slurm as an array, and the join that waits for it:
#
#     videnhance plan film.mkv out.mkv --task denoise,sr --shards 16 -o plan.json
#     CPUS=8 slurm.sh plan.json
#
# Plan, source, program and models lie where all nodes find them. Prints the numbers of both jobs. SBATCH_... variables of
# sbatch, such as SBATCH_PARTITION, hold for both.
set -eu

case ${1:-} in
shard | join)
  # Within a job. What may pass puts the task into the queue again: 75, want of memory (70), a kill (137).
  code=0
  # The batch shell gets SIGTERM first, and must pass it on.
  videnhance "$1" "$2" --progress lines & child=$!
  trap 'kill -TERM "$child" 2>/dev/null' TERM
  wait "$child" || code=$?
  # A trap ends the first wait before the program has ended.
  if kill -0 "$child" 2>/dev/null; then
    code=0
    wait "$child" || code=$?
  fi
  case $code in
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
  --job-name=videnhance-join --output=videnhance-%j.log "$script" join "$plan")
echo "join $join"
