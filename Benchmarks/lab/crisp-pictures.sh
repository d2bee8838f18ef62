#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes docs/lab/crisp.jpg: details of ten moments of Big Buck Bunny, halved and degraded like the kinds web and soft of
# docs/lab/real-footage.md, then enlarged by bicubic interpolation, at 4 bits, at 4 bits and sharpened; and the original.
#
#   Benchmarks/lab/crisp-pictures.sh PROGRAM DATA [FILE]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,6s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$(realpath "$(command -v "$1")") film=$2/train/film/bbb.mp4
file=${3:-docs/lab/crisp.jpg}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ffmpeg() { command ffmpeg -nostdin -hide_banner -v error -y "$@"; }

# Second of the film, kind, and left and top of the detail.
moments="431:web:240:120 434:soft:200:100 436.5:web:260:130 439:soft:220:110 442:web:180:120 445:soft:240:140
448:web:240:100 451:soft:200:130 454:web:220:120 457:soft:240:120"
inputs=() graph='' rows='' index=0
for moment in $moments; do
    IFS=: read -r second kind left top <<<"$moment"
    truth=$tmp/$index.truth.mkv half=$tmp/$index.half.mkv
    ffmpeg -ss "$second" -i "$film" -an -vf "scale=640:360:flags=bicubic,format=yuv420p" -frames:v 13 -c:v ffv1 "$truth"
    case $kind in
    web) ffmpeg -i "$truth" -vf scale=iw/2:ih/2:flags=bicubic -c:v libx264 -crf 28 -threads 1 "$half" ;;
    soft)
        ffmpeg -i "$truth" -vf "scale=iw/2:ih/2:flags=bicubic,gblur=sigma=0.9,noise=c0s=4:c1s=3:c2s=3:allf=t" \
            -c:v libx264 -crf 26 -threads 1 "$half"
        ;;
    esac
    "$program" "$half" "$tmp/$index.made.mkv" --source real --bits 4 --codec ffv1 --quiet
    inputs+=(-i "$half" -i "$tmp/$index.made.mkv" -i "$tmp/$index.made.mkv" -i "$truth")
    column=0 row=''
    for filter in scale=640:360:flags=bicubic null unsharp=5:5:0.5 null; do
        input=$((4 * index + column))
        graph+="[$input]select=eq(n\\,6),$filter,crop=200:120:$left:$top,format=yuv444p[p$input];"
        row+="[p$input]"
        column=$((column + 1))
    done
    graph+="${row}hstack=4[r$index];"
    rows+="[r$index]"
    index=$((index + 1))
done
ffmpeg "${inputs[@]}" -lavfi "$graph${rows}vstack=$index" -frames:v 1 -update 1 -q:v 4 "$tmp/crisp.jpg"
mv -f "$tmp/crisp.jpg" "$file"
echo "$file"
