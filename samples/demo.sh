#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Enhances a half-size clip at 4 bits and compares the result with bicubic, floating point and the original.
#
#   samples/demo.sh [PROGRAM [DIR]]        (default: .build/release/videnhance data-test)
#
# DIR holds the test clips, fetched if they are missing. Results: in.mp4, out.mp4, before-after.png in samples/out.
set -euo pipefail

cd "$(dirname "$0")/.."
program=${1:-.build/release/videnhance}
clips=${2:-data-test}
out=samples/out
original=$clips/bikes.mp4

# The crop of the picture: frame number, width:height:x:y, and how many times it is enlarged.
frame=215 crop=128:112:250:90 zoom=4

[ -x "$program" ] || { echo "demo: $program is missing; run make build" >&2; exit 1; }
Scripts/fetch-test.sh "$clips"
mkdir -p "$out"
tmp=$(mktemp -d "$out/.demo.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ffmpeg() { command ffmpeg -nostdin -hide_banner -v error -y "$@"; }

# timed NAME COMMAND...: seconds of the command into time_NAME.
timed() {
    local name=$1 start=$EPOCHREALTIME
    shift
    "$@"
    printf -v "time_$name" '%.1f' "$(awk "BEGIN { print ${EPOCHREALTIME/,/.} - ${start/,/.} }")"
}

frames() { ffprobe -v error -count_packets -select_streams v:0 -show_entries stream=nb_read_packets -of csv=p=0 "$1" | tr -d ,; }

# psnr FILE: of luma against the original, over all frames.
psnr() {
    ffmpeg -v info -i "$1" -i "$original" -lavfi '[0:v:0][1:v:0]psnr=shortest=1:repeatlast=0' -f null - 2>&1 |
        sed -n 's/.*PSNR y:\([^ ]*\).*/\1/p'
}

row() { LC_ALL=C printf '%-32s %6s %8s %10s\n' "$@"; }
result() { row "$1" "$(frames "$2")" "$3" "$(LC_ALL=C printf '%.2f dB' "$(psnr "$2")")"; }

# The input: half size, nothing else lost, sound kept if there is any.
ffmpeg -i "$original" -map 0:v:0 -map '0:a?' -vf scale=iw/2:ih/2:flags=bicubic -c:v libx264 -preset veryfast -qp 0 \
    -c:a copy "$out/in.mp4"
ffmpeg -i "$out/in.mp4" -map 0:v:0 -vf scale=iw*2:ih*2:flags=bicubic -c:v ffv1 "$tmp/bicubic.mkv"

# The main job, as a user would run it.
main=("$program" "$out/in.mp4" "$out/out.mp4" --task sr --bits 4 --overwrite)
echo "${main[*]}"
timed main "${main[@]}"
echo "the same at 32 and at 4 bits, encoded without loss, for the figures"
for bits in 32 4; do
    timed "$bits" "$program" "$out/in.mp4" "$tmp/$bits.mkv" --task sr --bits "$bits" --codec ffv1 --quiet
done

echo
row "$(basename "$original")" frames seconds "luma PSNR"
row original "$(frames "$original")" "" ""
result "bicubic (swscale)" "$tmp/bicubic.mkv" ""
result "32 bits (floating point)" "$tmp/32.mkv" "$time_32"
result "4 bits" "$tmp/4.mkv" "$time_4"
result "4 bits, as encoded in out.mp4" "$out/out.mp4" "$time_main"

# picture LABELLED: bicubic, 4 bits and original side by side.
picture() {
    local label=$1 graph='' index=0 name
    for name in bicubic '4 bits' original; do
        graph+="[$index:v:0]select=eq(n\\,$frame),crop=$crop,scale=iw*$zoom:-1:flags=neighbor,format=rgb24"
        graph+=",pad=iw+8:ih+34:4:30:white"
        [ "$label" = no ] || graph+=",drawtext=text='$name':x=6:y=6:fontsize=20:fontcolor=black"
        graph+="[p$index];"
        index=$((index + 1))
    done
    ffmpeg -i "$tmp/bicubic.mkv" -i "$tmp/4.mkv" -i "$original" -lavfi "${graph}[p0][p1][p2]hstack=3" \
        -fps_mode passthrough -frames:v 1 "$tmp/before-after.png"
}
# Labels need a font.
picture yes 2>/dev/null || picture no

mv -f "$tmp/before-after.png" "$out/"
echo
echo "$out/in.mp4, $out/out.mp4: before and after"
echo "$out/before-after.png: a detail; bicubic, 4 bits, original"
for file in "$tmp/32.mkv" "$tmp/4.mkv" "$out/out.mp4"; do
    [ "$(frames "$file")" = "$(frames "$original")" ] || { echo "demo: frames are missing in $file" >&2; exit 1; }
done
