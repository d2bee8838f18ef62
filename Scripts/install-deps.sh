#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the dependencies of building, training and testing on Debian 12 except Swift, and packages named as
# arguments. Does nothing if all are installed.
set -euo pipefail

say() { echo "install-deps: $*" >&2; }

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    { say "made for Debian 12 (no apt-get here); README.md lists what is needed"; exit 1; }

missing=()
package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
library() { package "$1" || missing+=("$1"); }
program() { command -v "$1" >/dev/null || missing+=("$2"); }

# Libraries of the code.
for name in libavcodec-dev libavfilter-dev libavformat-dev libswscale-dev libavutil-dev libdnnl-dev libssl-dev; do library "$name"; done
# Libraries of Swift's tools, and the GCC start files and headers that its linker and clang use.
for name in libcurl4 libncurses6 libsqlite3-0 libxml2 libc6-dev; do library "$name"; done
program g++ g++
# Programs called by scripts and tests.
library ca-certificates
for name in ffmpeg git make pkg-config python3 strace unzip; do program "$name" "$name"; done
for name in "$@"; do library "$name"; done
# pip may belong to another python3, found before Debian's in PATH.
package python3-pip && [ "$(command -v python3)" = /usr/bin/python3 ] ||
    python3 -c 'import pip' 2>/dev/null || missing+=(python3-pip)

if [ ${#missing[@]} != 0 ]; then
    command=(apt-get install -y --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" != 0 ]; then
        say "missing; as root: apt-get update && ${command[*]}"
        exit 1
    fi
    say "${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Another installation may be in progress.
    command+=(-qq -o DPkg::Lock::Timeout=300)
    # Package lists may be absent (bare images) or outdated: then update them first.
    if ! apt-get install --simulate --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
        ! "${command[@]}" >/dev/null 2>&1; then
        apt-get -qq update || say "some package lists could not be fetched"
        "${command[@]}" >/dev/null
    fi
fi

command -v swift >/dev/null || { say "swift is missing: install Swift 6.2 or later from swift.org, and add it to PATH"; exit 1; }
