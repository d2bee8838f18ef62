#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes docs/before-after.png, the picture of README.md: a clip drawn by FFmpeg (text that moves over a fractal) is halved
# and enlarged again, by bicubic interpolation and at 4 bits.
#
#   samples/picture.sh [PROGRAM [FILE]]     (default: .build/release/videnhance docs/before-after.png)
set -euo pipefail

cd "$(dirname "$0")/.."
program=${1:-.build/release/videnhance}
file=${2:-docs/before-after.png}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

ffmpeg() { command ffmpeg -nostdin -hide_banner -v error -y "$@"; }

cat > "$tmp/text" <<'TEXT'
Makes video larger, cleaner and smoother
on an ordinary CPU: super-resolution,
denoising and frame interpolation by
neural networks that look at several
frames at a time and compute in integers
of 8 down to 2 bits.   0123456789
TEXT
text="drawtext=font=DejaVu Serif:textfile=$tmp/text:expansion=none:fontsize=17:fontcolor=white:line_spacing=4"
text+=":box=1:boxcolor=0x203040:boxborderw=12:x=40-1.3*n:y=60+0.4*n"
fractal="mandelbrot=size=640x360:rate=24:start_scale=0.9:end_scale=0.3:end_pts=240:maxiter=300"
ffmpeg -f lavfi -i "$fractal:start_x=-0.743643887:start_y=-0.131825904" -vf "$text" -frames:v 24 -c:v ffv1 \
    -pix_fmt yuv420p "$tmp/original.mkv"
ffmpeg -i "$tmp/original.mkv" -vf scale=iw/2:ih/2:flags=bicubic -c:v ffv1 "$tmp/half.mkv"
"$program" "$tmp/half.mkv" "$tmp/enhanced.mkv" --bits 4 --codec ffv1 --quiet
"$program" compare "$tmp/original.mkv" --task sr --degrade --bits 32,4 --also bicubic --frames 24

# Frame 6 of each, a part of it twice as large, with its name above.
graph=''
index=0
for name in bicubic 'videnhance, 4 bits' original; do
    graph+="[$index]select=eq(n\\,6)"
    [ $index = 0 ] && graph+=",scale=iw*2:ih*2:flags=bicubic"
    graph+=",crop=168:132:31:58,scale=iw*2:ih*2:flags=neighbor,format=rgb24,pad=iw+4:ih+26:2:24:white"
    graph+=",drawtext=font=DejaVu Sans:text='$name':x=4:y=4:fontsize=16:fontcolor=black[p$index];"
    index=$((index + 1))
done
ffmpeg -i "$tmp/half.mkv" -i "$tmp/enhanced.mkv" -i "$tmp/original.mkv" -lavfi "${graph}[p0][p1][p2]hstack=3" \
    -frames:v 1 -pred mixed "$tmp/picture.png"
mv -f "$tmp/picture.png" "$file"
echo "$file"
