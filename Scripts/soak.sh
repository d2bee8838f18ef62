#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Interpolates and upscales a long video: memory and descriptors must stay constant, and sound in sync.
# Usage: soak.sh PROGRAM, with the variables MINUTES (60) of film, SIZE (640x360), RATE (24), OPTIONS of the
# program, and SLACK of memory in KiB (2048).
set -euo pipefail
program=$1
minutes=${MINUTES:-60}
size=${SIZE:-640x360}
rate=${RATE:-24}
read -r -a options <<< "${OPTIONS:---task interp,sr --model fast --bits 4 --preset ultrafast}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

seconds=$(awk "BEGIN { print $minutes * 60 }")
# Repeats a clip of ten seconds, with sound of the same total length.
ffmpeg -v error -nostdin -f lavfi -i "testsrc2=size=$size:rate=$rate:duration=10" -c:v libx264 -preset veryfast \
  -pix_fmt yuv420p "$folder/clip.mkv"
ffmpeg -v error -nostdin -stream_loop -1 -i "$folder/clip.mkv" -f lavfi -i "sine=frequency=330:duration=$seconds" \
  -t "$seconds" -map 0:v -map 1:a -c:v copy -c:a flac "$folder/in.mkv"

start=$(date +%s)
"$program" "$folder/in.mkv" "$folder/out.mkv" --quiet "${options[@]}" &
pid=$!
: > "$folder/samples"
while kill -0 $pid 2> /dev/null; do
  memory=$(awk '/^VmRSS/ { print $2 }' /proc/$pid/status 2> /dev/null || true)
  # The program may end in between.
  descriptors=$(ls /proc/$pid/fd 2> /dev/null | wc -l || true)
  [ -n "$memory" ] && echo "$memory $descriptors" >> "$folder/samples"
  sleep "${EVERY:-5}"
done
wait $pid
elapsed=$(($(date +%s) - start))

# Skip the first fifth as warm-up, then compare the end with the middle.
awk -v minutes="$minutes" -v elapsed="$elapsed" -v slack="${SLACK:-2048}" '
  { memory[NR] = $1; descriptors[NR] = $2; if ($1 > peak) peak = $1 }
  END {
    if (NR < 10) { print "too short to tell: " NR " samples"; exit 1 }
    from = int(NR / 5) + 1; half = int((NR + from) / 2)
    for (i = from; i <= NR; i++) {
      if (i <= half) { a += memory[i]; n++; if (descriptors[i] > da) da = descriptors[i] }
      else { b += memory[i]; m++; if (descriptors[i] > db) db = descriptors[i] }
    }
    a /= n; b /= m
    printf "%s minutes of film in %d s: memory %.1f MiB, then %.1f MiB (peak %.1f), descriptors %d, then %d\n",
      minutes, elapsed, a / 1024, b / 1024, peak / 1024, da, db
    if (b > a * 1.05 + slack || db > da) { print "it grows"; exit 1 }
  }' "$folder/samples"

last() { ffprobe -v error -select_streams "$2" -show_entries packet=pts_time -of csv=p=0 "$1" | sort -n | tail -n 1; }
offset=$(awk -v a="$(last "$folder/in.mkv" a:0)" -v b="$(last "$folder/out.mkv" a:0)" \
  -v c="$(last "$folder/in.mkv" v:0)" -v d="$(last "$folder/out.mkv" v:0)" -v r="$rate" \
  'BEGIN { x = b - a; y = d - c - 0.5 / r; printf "%.3f %.3f", x * 1000, y * 1000 }')
echo "at the end: sound off by ${offset% *} ms, picture by ${offset#* } ms"
awk -v x="${offset% *}" -v y="${offset#* }" 'BEGIN { exit (x * x < 1.000001 && y * y < 1.000001) ? 0 : 1 }'
