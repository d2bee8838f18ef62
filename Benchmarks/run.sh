#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures kernels, engines and whole runs, and checks the recorded ratios: `make bench`.
#
#   Benchmarks/run.sh PROGRAM TEST_CLIPS_FOLDER RESULTS_FOLDER [options of report.py ...]
#
# The other engines are installed into RESULTS_FOLDER/venv. Needs an otherwise idle machine for some ten minutes.
set -euo pipefail

program=$(realpath "$1") clips=$(realpath -m "$2")
mkdir -p "$3"
results=$(realpath "$3")
shift 3
here=$(dirname "$(realpath "$0")")

"$here/../Scripts/fetch-test.sh" "$clips"
"$here/venv.sh" "$results/venv" >/dev/null
export PYTHONDONTWRITEBYTECODE=1

log() { echo "bench: $* ($((SECONDS / 60)) min $((SECONDS % 60)) s)" >&2; }

log 'kernels'
rm -f "$results"/kernels-*.txt
for isa in amx avx512vnni avxvnni avx2; do
    for threads in 1 2; do
        out="$results/kernels-$isa-$threads.txt"
        # Instruction sets that the machine lacks are left out.
        "$program" bench kernels --isa $isa --threads $threads >"$out" 2>/dev/null || rm -f "$out"
    done
done
log 'the reference stack and a network in other engines'
ffmpeg -v error -y -i "$clips/bigbuckbunny.mp4" -t 1 -vf scale=960:540:flags=bicubic -an -c:v libx264 -crf 12 "$results/540p.mp4"
"$results/venv/bin/python" "$here/peers.py" "$program" "$results/540p.mp4" "$results/peers.json"
log 'whole runs'
"$results/venv/bin/python" "$here/end_to_end.py" "$program" "$clips" "$results/end_to_end.json"
log 'all measured'
"$results/venv/bin/python" "$here/report.py" "$results" "$@"
