#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes docs/old-footage.png, the picture of real footage in README.md: a clip is halved and coded twice, as the kind `old` of
# docs/lab/real-footage.md, and enlarged again, by bicubic interpolation and at 4 bits. Scripts/fetch-test.sh fetches the clip.
#
#   samples/real-picture.sh [PROGRAM [FILE]]     (default: .build/release/videnhance docs/old-footage.png)
set -euo pipefail

cd "$(dirname "$0")/.."
program=${1:-.build/release/videnhance}
file=${2:-docs/old-footage.png}
clip=data-test/bigbuckbunny.mp4
[ -f "$clip" ] || { echo "real-picture: $clip is missing: Scripts/fetch-test.sh" >&2; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ffmpeg() { command ffmpeg -nostdin -hide_banner -v error -y "$@"; }

ffmpeg -i "$clip" -frames:v 16 -an -vf scale=640:-2:flags=bicubic -c:v ffv1 "$tmp/original.mkv"
ffmpeg -i "$tmp/original.mkv" -vf scale=iw/2:ih/2:flags=bicubic -c:v ffv1 "$tmp/half.mkv"
ffmpeg -i "$tmp/half.mkv" -c:v mpeg4 -qmin 6 -qmax 6 -q:v 6 -threads 1 "$tmp/first.mkv"
ffmpeg -i "$tmp/first.mkv" -vf gblur=sigma=0.5 -c:v libx264 -crf 27 -threads 1 "$tmp/old.mkv"
"$program" "$tmp/old.mkv" "$tmp/enhanced.mkv" --bits 4 --codec ffv1 --quiet
ffmpeg -i "$tmp/old.mkv" -vf scale=iw*2:ih*2:flags=bicubic -c:v ffv1 "$tmp/bicubic.mkv"
"$program" compare "$tmp/bicubic.mkv" "$tmp/enhanced.mkv" --reference "$tmp/original.mkv" --vmaf-ffmpeg none

# Frame 8 of each, a part of it twice as large, with its name above.
graph=''
index=0
for name in bicubic 'videnhance, 4 bits' 'original'; do
    graph+="[$index]select=eq(n\\,8),crop=168:144:60:100,scale=iw*2:ih*2:flags=neighbor,format=rgb24"
    graph+=",pad=iw+4:ih+26:2:24:white"
    graph+=",drawtext=font=DejaVu Sans:text='$name':x=4:y=4:fontsize=16:fontcolor=black[p$index];"
    index=$((index + 1))
done
ffmpeg -i "$tmp/bicubic.mkv" -i "$tmp/enhanced.mkv" -i "$tmp/original.mkv" -lavfi "${graph}[p0][p1][p2]hstack=3" \
    -frames:v 1 -pred mixed "$tmp/picture.png"
mv -f "$tmp/picture.png" "$file"
echo "$file"
