#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures networks on whole clips of VAL, degraded like the kinds of docs/lab/real-footage.md: luma PSNR of 25 frames of
# bbb, dog and birds at 640x360, and what each set of options gains over bicubic or, at full size, the decoded frames.
#
#   Benchmarks/lab/whole-clips.sh PROGRAM DATA SCALE OPTIONS...
#   e.g. whole-clips.sh videnhance data 2 "--source real" "--source clean --bits 3"    sr x2
#        whole-clips.sh videnhance data 1 "--task restore --source real"               restoration
#        whole-clips.sh videnhance data 2 "--source real | unsharp=5:5:0.5"            filters after the network
#
# SCALE is 1, 2 or 4: the reduction of the clips before they are degraded. Options must restore the size of 640x360.
# CLIPS names other clips, one a line: name, size, and FFmpeg's options for the input; e.g.
#   CLIPS="bikes 640:272 -i data-test/bikes.mp4"
# With VMAF_FFMPEG, the path of an ffmpeg that has libvmaf, each gain is followed by that in VMAF NEG.
set -euo pipefail
[ $# -ge 4 ] || { sed -n '3,14s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$(realpath "$(command -v "$1")") data=$2 scale=$3
shift 3
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
encode() { ffmpeg -v error -nostdin -y "$@"; }
measure() { # FILE TRUTH FILTERS
    local pair="[0:v]${3:-null},format=yuv420p,settb=1/25,setpts=N[a];[1:v]format=yuv420p,settb=1/25,setpts=N[b];[a][b]"
    ffmpeg -hide_banner -nostdin -i "$1" -i "$2" -lavfi "${pair}psnr" -f null - 2>&1 |
        sed -n 's/.*PSNR y:\([0-9.inf]*\).*/\1/p'
    [ -z "${VMAF_FFMPEG:-}" ] ||
        "$VMAF_FFMPEG" -hide_banner -nostdin -i "$1" -i "$2" -lavfi "${pair}libvmaf=model=version=vmaf_v0.6.1neg" -f null - 2>&1 |
        sed -n 's/.*VMAF score: //p'
}
# MPEG-2's quantizer is 10 at full size, and 7 for clips that will be enlarged, as in `bench quality`.
quantizer=7 kinds=(web soft dvd old)
[ "$scale" = 1 ] && quantizer=10 kinds=(web crf33 soft dvd old)

clips=${CLIPS:-"bbb 640:360 -ss 436 -i $data/train/film/bbb.mp4
dog 640:360 -i $data/val/dog.mp4
birds 640:360 -i $data/val/birds.mp4"}
while read -r name size input; do
    truth=$tmp/truth.mkv clean=$tmp/clean.mkv
    # shellcheck disable=SC2086
    # At 25 frames a second, whatever the source has.
    encode $input -vf "scale=$size:flags=bicubic,format=yuv420p,settb=1/25,setpts=N" -r 25 -frames:v 25 -c:v ffv1 "$truth"
    encode -i "$truth" -vf "scale=iw/$scale:ih/$scale:flags=bicubic" -c:v ffv1 "$clean"
    for kind in "${kinds[@]}"; do
        source=$tmp/$kind.mkv
        case $kind in
        web) encode -i "$clean" -c:v libx264 -crf 28 -threads 1 "$source" ;;
        crf33) encode -i "$clean" -c:v libx264 -crf 33 -threads 1 "$source" ;;
        soft) encode -i "$clean" -vf gblur=sigma=0.9,noise=c0s=4:c1s=3:c2s=3:allf=t -c:v libx264 -crf 26 -threads 1 "$source" ;;
        dvd) encode -i "$clean" -c:v mpeg2video -qmin $quantizer -qmax $quantizer -q:v $quantizer -g 15 -bf 2 -threads 1 "$source" ;;
        old)
            encode -i "$clean" -c:v mpeg4 -qmin 6 -qmax 6 -q:v 6 -threads 1 "$tmp/first.mkv"
            encode -i "$tmp/first.mkv" -vf gblur=sigma=0.5 -c:v libx264 -crf 27 -threads 1 "$source"
            ;;
        esac
        line="$name $kind $(measure "$source" "$truth" "scale=$size:flags=bicubic" | paste -sd ' ')"
        for options in "$@"; do
            # shellcheck disable=SC2086
            "$program" "$source" "$tmp/out.mkv" ${options%%|*} --codec ffv1 --quiet --overwrite
            filter=${options#*|}
            [ "$filter" != "$options" ] || filter=null
            line+=" $(measure "$tmp/out.mkv" "$truth" "$filter" | paste -sd ' ')"
        done
        echo "$line"
    done
done <<<"$clips" | awk -v measures="${VMAF_FFMPEG:+2}" 'BEGIN {
    if (!measures) measures = 1
    space = sprintf("%" 7 * measures "s", "")
} {
    printf "%-6s %-6s", $1, $2
    for (i = 3; i < 3 + measures; i++) printf " %6.2f", $i
    for (; i <= NF; i++) { gain = $i - $(3 + (i - 3) % measures); printf " %+6.2f", gain; sum[i] += gain; kind[$2, i] += gain }
    print ""; fields = NF; kinds[$2]++
} END {
    for (name in kinds) {
        printf "mean   %-6s" space, name
        for (i = 3 + measures; i <= fields; i++) printf " %+6.2f", kind[name, i] / kinds[name]
        print ""
    }
    printf "mean         " space
    for (i = 3 + measures; i <= fields; i++) printf " %+6.3f", sum[i] / NR
    print ""
}'
