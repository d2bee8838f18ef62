#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles the integer kernels for arm64 and compares them with the scalar ones under qemu: `make test-arm`.
# Needs clang; on Debian: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# Without these packages, the kernels are only compiled.
set -euo pipefail

cd "$(dirname "$0")/.."
sysroot=/usr/aarch64-linux-gnu
flags=(--target=aarch64-linux-gnu -std=c11 -O2 -Wall -Wextra -Werror -I Sources/CQuantKernels/include)
sources=(Sources/CQuantKernels/*.c Sources/CQuantKernels/arm/*.c Tests/CrossTests/kernels.c)
if [ ! -d $sysroot ] || ! command -v qemu-aarch64 aarch64-linux-gnu-gcc >/dev/null; then
    echo "test-arm: no qemu-user or cross compiler; kernels are only checked by clang" >&2
    for source in Sources/CQuantKernels/arm/*.c; do clang "${flags[@]}" -ffreestanding -fsyntax-only "$source"; done
    exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for source in "${sources[@]}"; do
    clang "${flags[@]}" -I $sysroot/include -c "$source" -o "$out/$(basename "$source").o"
done
aarch64-linux-gnu-gcc -static -o "$out/kernels" "$out"/*.o -lm -lpthread
qemu-aarch64 -cpu max "$out/kernels"
