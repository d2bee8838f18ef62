#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles CDNNL against both APIs of oneDNN and compares its convolutions with sums by hand: `make test-onednn`.
# The installed version, then 3.2 from PyPI with OpenMP (40 MB); of the newest version on PyPI only the headers, since its
# library needs SYCL. Needs clang, pip and unzip.
#
#   Scripts/test-onednn.sh [FOLDER OF PACKAGES]    which are kept there; by default a temporary folder
set -euo pipefail

cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=$(realpath -m "${1:-$work/packages}")
mkdir -p "$packages"
flags=(-std=c11 -O1 -Wall -Wextra -Werror -I Sources/CDNNL/include)
sources=(Sources/CDNNL/convolution.c Tests/CrossTests/dnn.c)

# The folder of a package's headers or libraries: package NAME VERSION FOLDER.
package() {
    local wheel=("$packages/${1//-/_}-$2"-*.whl)
    if [ ! -e "${wheel[0]}" ]; then
        python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$packages" "$1==$2" >&2
        wheel=("$packages/${1//-/_}-$2"-*.whl)
    fi
    unzip -qo "${wheel[0]}" -d "$work/$1"
    echo "$work/$1/${1//-/_}-$2.data/data/$3"
}

clang "${flags[@]}" "${sources[@]}" -ldnnl -o "$work/installed"
"$work/installed"

headers=$(package onednn-devel-cpu-gomp 2023.2.0 include)
library=$(package onednn-cpu-gomp 2023.2.0 lib)
clang "${flags[@]}" -I "$headers" "${sources[@]}" -L "$library" -ldnnl -Wl,-rpath,"$library" -o "$work/newer"
"$work/newer" 3

headers=$(package onednn-devel 2026.1.0 include)
clang "${flags[@]}" -I "$headers" -fsyntax-only Sources/CDNNL/convolution.c
version() { sed -n "s/#define DNNL_VERSION_$1 //p" "$headers/oneapi/dnnl/dnnl_version.h"; }
echo "oneDNN $(version MAJOR).$(version MINOR).$(version PATCH): compiles"
