#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles the integer kernels for arm64 and compares them with the scalar ones under qemu: `make test-arm`.
#
#   Scripts/test-arm.sh          compares
#   Scripts/test-arm.sh count    prints how many instructions a 64 -> 64 layer takes, as a stand-in for its time; minutes
#
# Needs clang; on Debian: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# Without these packages, the kernels are only compiled.
set -euo pipefail

cd "$(dirname "$0")/.."
sysroot=/usr/aarch64-linux-gnu
flags=(--target=aarch64-linux-gnu -std=c11 -O2 -Wall -Wextra -Werror -I Sources/CQuantKernels/include)
if [ ! -d $sysroot ] || ! command -v qemu-aarch64 aarch64-linux-gnu-gcc >/dev/null; then
    echo "test-arm: no qemu-user or cross compiler; kernels are only checked by clang" >&2
    for source in Sources/CQuantKernels/arm/*.c; do clang "${flags[@]}" -ffreestanding -fsyntax-only "$source"; done
    exit 0
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
program=kernels
[ "${1:-}" = count ] && program=layer
for source in Sources/CQuantKernels/*.c Sources/CQuantKernels/arm/*.c Tests/CrossTests/$program.c; do
    clang "${flags[@]}" -I $sysroot/include -c "$source" -o "$out/$(basename "$source" .c).o"
done
aarch64-linux-gnu-gcc -static -Wl,-Map="$out/map" -o "$out/program" "$out"/*.o -lm -lpthread
if [ $program = kernels ]; then
    qemu-aarch64 -cpu max "$out/program"
    exit
fi

# Address ranges of the code that runs for each picture. With one instruction per translation block, qemu logs a line for each
# executed instruction.
running='/(winograd_run|plan|winograd_neon[a-z0-9]*|epilogue_neondot|accumulate_neon[a-z0-9]*)\.o$'
ranges=$(awk -v running="$running" '$1 == ".text" && $4 ~ running { printf "%s+%s,", $2, $3 }' "$out/map")
ranges+=$(aarch64-linux-gnu-nm -S "$out/program" | awk '$4 == "ve_conv3x3_run" { printf "0x%s+0x%s", $1, $2 }')
for work in '8 direct' '6 automatic' '4 automatic' '3 automatic'; do
    for set in neondot neoni8mm; do
        # shellcheck disable=SC2086
        algorithm=$(qemu-aarch64 -cpu max "$out/program" $set $work 0)
        # shellcheck disable=SC2086
        count=$(qemu-aarch64 -cpu max -singlestep -d exec,nochain -dfilter "$ranges" "$out/program" $set $work 1 \
            2>&1 >/dev/null | grep -c ^Trace)
        echo "$set, ${work%% *} bits, $algorithm: $((count / 384)) instructions a pixel"
    done
done
