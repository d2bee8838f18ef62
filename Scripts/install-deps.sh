#!/usr/bin/env bash
# Installs what building, training and testing need on Debian 12, Swift apart. Does nothing, silently, when all is there.
set -euo pipefail

missing=()
package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
library() { package "$1" || missing+=("$1"); }
program() { command -v "$1" >/dev/null || missing+=("$2"); }

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    { echo "install-deps: made for Debian 12 (no apt-get here)" >&2; exit 1; }

for name in libavcodec-dev libavformat-dev libswscale-dev libavutil-dev libdnnl-dev ca-certificates; do library "$name"; done
for name in ffmpeg pkg-config make python3 unzip; do program "$name" "$name"; done
# pip may belong to the python3 found first in PATH instead of Debian's.
package python3-pip && [ "$(command -v python3)" = /usr/bin/python3 ] ||
    python3 -c 'import pip' 2>/dev/null || missing+=(python3-pip)

[ ${#missing[@]} = 0 ] && exit 0

command=(apt-get install -y --no-install-recommends "${missing[@]}")
if [ "$(id -u)" != 0 ]; then
    echo "install-deps: missing; as root: apt-get update && ${command[*]}" >&2
    exit 1
fi

echo "install-deps: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# The package lists may be absent (bare images), or too old for the archive: then they are fetched first.
if ! apt-get install --simulate --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    apt-get -qq update
    "${command[@]}" -qq >/dev/null
elif ! "${command[@]}" -qq >/dev/null 2>&1; then
    apt-get -qq update
    "${command[@]}" -qq >/dev/null
fi
