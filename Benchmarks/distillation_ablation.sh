#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The effect of each part of PMTD: runs of equal length that differ in one setting, for several seeds.
# Results are in docs/lab/quantization.md.
#
#   Benchmarks/distillation_ablation.sh PROGRAM DATA DIR [BITS] [STEPS] [SEEDS]
#
# The student is the fast network for sr x2, which is quick enough for it; teachers are its shipped models of more bits, or
# those named by TEACHERS. DIR keeps logs and models; finished runs are not repeated.
set -euo pipefail
[ $# -ge 3 ] || { sed -n '3,9s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$1 data=$2 dir=$3 bits=${4:-3} steps=${5:-600} seeds=${6:-1 2 3}
models=$(dirname "$0")/../Sources/EnhancementModel/Resources
full=$models/sr-x2-fast.safetensors
teachers=${TEACHERS:-$models/sr-x2-fast-6bit.safetensors $models/sr-x2-fast-4bit.safetensors}
mkdir -p "$dir"
start=$dir/start-$bits.safetensors
[ -s "$start" ] ||
    "$program" calibrate --data "$data" --bits "$bits" --windows 100 --model-file "$full" -o "$start"

# run NAME OPTIONS...: one variant, all seeds.
run() {
    local name=$1 seed log gains=()
    shift
    for seed in $seeds; do
        log=$dir/$name-$bits-$seed.log
        if ! grep -q "step $steps," "$log" 2>/dev/null; then
            rm -f "$dir/state"
            "$program" distill --data "$data" --bits "$bits" --steps "$steps" --seed "$seed" --model-file "$full" \
                --calibrated "$start" --checkpoint "$dir/state" -o "$dir/$name-$bits-$seed.safetensors" "$@" 2>"$log"
        fi
        gains+=("$(grep "step $steps," "$log" | tail -n 1 | sed 's/.*input \([+-][0-9.]*\) dB.*/\1/')")
    done
    echo "| $name | $(IFS='|'; echo "${gains[*]}" | sed 's/|/ | /g') | $(printf '%s\n' "${gains[@]}" |
        awk '{ sum += $1 } END { printf "%+.3f", sum / NR }') |"
}

echo "| variant | $(echo $seeds | sed 's/\([0-9]*\) */seed \1 | /g')mean |"
echo "|---$(for _ in $seeds; do printf '|---'; done)|---|"
run pmtd --teachers $teachers --feature-weight 0.05
run full-precision-only --feature-weight 0.05
run intermediates-only --teachers $teachers --full-precision-teacher off --feature-weight 0.05
run without-features --teachers $teachers
run truth-only --truth-share 1
run ranges-only --teachers $teachers --move-weights off --feature-weight 0.05
