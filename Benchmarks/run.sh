#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures kernels, engines and whole runs, and checks the ratios recorded for this class of machines: `make bench`.
#
#   [BENCH_CLASS=CLASS] Benchmarks/run.sh PROGRAM TEST_CLIPS_FOLDER RESULTS_FOLDER [options of report.py ...]
#
# BENCH_CLASS measures a lower class (classes.py) than the machine's: our kernels and the other engines are limited to it.
# The other engines are installed into RESULTS_FOLDER/venv, figures are in RESULTS_FOLDER/CLASS. Needs an otherwise idle
# machine for some ten minutes, longer without VNNI.
set -euo pipefail

program=$(realpath "$1") clips=$(realpath -m "$2")
mkdir -p "$3"
base=$(realpath "$3")
shift 3
here=$(dirname "$(realpath "$0")")

"$here/../Scripts/fetch-test.sh" "$clips"
"$here/venv.sh" "$base/venv" >/dev/null
python=$base/venv/bin/python
export PYTHONDONTWRITEBYTECODE=1

unset VIDENHANCE_ISA ONEDNN_MAX_CPU_ISA
chosen=$("$python" "$here/classes.py" "$program" "${BENCH_CLASS:-}")
read -r class limit isas <<<"$chosen"
if [ "$limit" != - ]; then
    export VIDENHANCE_ISA=${isas##* } ONEDNN_MAX_CPU_ISA=$limit
fi
results=$base/$class
mkdir -p "$results"

log() { echo "bench: $class: $* ($((SECONDS / 60)) min $((SECONDS % 60)) s)" >&2; }

log 'kernels'
rm -f "$results"/kernels-*.txt
for isa in $isas; do
    for threads in 1 2; do
        "$program" bench kernels --isa "$isa" --threads $threads >"$results/kernels-$isa-$threads.txt"
    done
done
log 'the reference stack and a network in other engines'
ffmpeg -v error -y -i "$clips/bigbuckbunny.mp4" -t 1 -vf scale=960:540:flags=bicubic -an -c:v libx264 -crf 12 "$results/540p.mp4"
"$python" "$here/peers.py" "$program" "$results/540p.mp4" "$results/peers.json"
log 'whole runs'
"$python" "$here/end_to_end.py" "$program" "$clips" "$results/end_to_end.json"
log 'all measured'
"$python" "$here/report.py" "$results" "$class" "$@"
