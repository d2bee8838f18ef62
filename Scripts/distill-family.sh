#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the integer models of one network: 8, 6, 4, 3 and 2 bits, each calibrated (BMFQ) and distilled (PMTD) from the
# real weights of the one before, with full precision and the two nearest models of more bits as teachers.
#
#   Scripts/distill-family.sh PROGRAM DATA WEIGHTS DIR [OPTIONS...]     e.g. OPTIONS: --task sr --scale 4
#
# WEIGHTS: the full-precision network. DIR gets <name of WEIGHTS>-<bits>bit.safetensors. Existing models are
# kept, and interrupted runs continue from their checkpoints. DISTILL="--clean-share 0.75" adds options for
# distill only. STEPS="8=500 6=700 4=2000 3=2500 2=3000" sets the steps by bits.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$1 data=$2 weights=$3 dir=$4
shift 4
name=$(basename "$weights" .safetensors)
mkdir -p "$dir"

start=$weights teachers=()
for pair in ${STEPS:-8=500 6=700 4=2000 3=2500 2=3000}; do
    bits=${pair%=*} steps=${pair#*=}
    model=$dir/$name-${bits}bit.safetensors real=$dir/$name-${bits}bit.real calibrated=$dir/$name-${bits}bit.calibrated
    # For two bits, clipping ranges widen during training.
    case $bits in 2) grid="--weight-grid spread" ;; *) grid= ;; esac
    # Many bits need little training, few bits a lot.
    case $bits in 8 | 6) rates="--learning-rate 5e-5 --step-rate 3e-4" ;; 4) rates= ;; *) rates="--learning-rate 4e-4" ;; esac
    if [ ! -s "$model" ]; then
        [ -s "$calibrated" ] ||
            "$program" calibrate --data "$data" --bits "$bits" --windows 100 --model-file "$start" -o "$calibrated" \
                $grid "$@"
        "$program" distill --data "$data" --bits "$bits" --steps "$steps" --model-file "$weights" --start "$start" \
            --calibrated "$calibrated" ${teachers:+--teachers "${teachers[@]}"} --checkpoint "$dir/$name-${bits}bit.checkpoint" \
            --real-weights "$real" -o "$model.part" $rates "$@" ${DISTILL:-}
        mv "$model.part" "$model"
    fi
    [ -s "$real" ] && start=$real
    teachers+=("$model")
    [ ${#teachers[@]} -le 2 ] || teachers=("${teachers[@]:1}")
done
