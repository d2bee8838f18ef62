#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the shards of a plan, several at a time, and joins them: with GNU parallel also on other machines that
# share the folder, with xargs on this one.
#
#     videnhance plan film.mkv out.mkv --shards 16 -o plan.json
#     parallel.sh plan.json                                  # 2 at a time
#     JOBS=1 MACHINES=:,node1,node2 parallel.sh plan.json    # one here and one on each of two others, by ssh
set -eu

plan=$(realpath "${1:?usage: parallel.sh plan.json}")
jobs=${JOBS:-2}
threads=${THREADS:-$((($(nproc) + jobs - 1) / jobs))}
shards=$(videnhance status "$plan" --json | grep -c '"index"')

if command -v parallel > /dev/null; then
  # Retries a failed shard twice, on another machine if there is one. --quote keeps spaces in the plan's name.
  seq 0 $((shards - 1)) | parallel --no-notice --quote --halt now,fail=1 --retries 3 --jobs "$jobs" \
    ${MACHINES:+--sshlogin "$MACHINES"} \
    videnhance shard "$plan" --index {} --threads "$threads" --quiet
else
  seq 0 $((shards - 1)) | xargs -P "$jobs" -I {} videnhance shard "$plan" --index {} --threads "$threads" --quiet
fi
videnhance join "$plan"
