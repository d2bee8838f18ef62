#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packs the VapourSynth plugin that `make vapoursynth` has built as a wheel, and tries it in a virtual environment with
# PyPI's vapoursynth, which the tests use, too. The wheel holds the plugin, the models and Swift's runtime; FFmpeg and
# oneDNN are the system's.
# Usage: Scripts/vapoursynth.sh VERSION BUILD OUT ENVIRONMENT
set -euo pipefail
cd "$(dirname "$0")/.."
version=$1 build=$(realpath "$2") out=$3 environment=$4
export LC_ALL=C

say() { echo "vapoursynth: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(uname -s)" = Linux ] || fail "wheels are made on Linux only; load the library with std.LoadPlugin elsewhere"
library=$build/release/libvidenhance-vapoursynth.so
[ -f "$library" ] || fail "no $library"

# The same tree gives the same wheel.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH

stage=$environment/stage
plugin=$stage/vapoursynth/plugins/videnhance
rm -rf "$stage"
mkdir -p "$plugin/models"
install -m 644 "$library" "$plugin/libvidenhance.so"
install -m 644 Sources/EnhancementModel/Resources/*.safetensors "$plugin/models"
# VapourSynth only loads the library named in the manifest, and does not mistake the other libraries for plugins.
printf '[VapourSynth Manifest V1]\nlibvidenhance\n' > "$plugin/manifest.vs"
runtime=$(swift -print-target-info | sed -n '/"runtimeLibraryPaths"/,/]/s/^ *"\(\/.*\)".*/\1/p')
[ -n "$runtime" ] || fail "swift -print-target-info names no folder of libraries"
while read -r path; do
    while read -r folder; do
        case $(realpath "$path") in "$(realpath "$folder")"/*) install -m 644 "$path" "$plugin" ;; esac
    done <<< "$runtime"
done < <(ldd "$library" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p')
for file in "$plugin"/*.so; do
    strip --strip-unneeded "$file"
    patchelf --set-rpath '$ORIGIN' "$file"
done

symbols=$(nm -D --defined-only --extern-only "$plugin/libvidenhance.so" | awk '{ print $3 }')
[ "$symbols" = VapourSynthPluginInit2 ] || fail "the plugin shows other symbols: $(head -c 200 <<< "$symbols")"
! ldd "$plugin/libvidenhance.so" | grep -F 'not found' || fail "the plugin lacks libraries"

mkdir -p "$out"
wheel=$(python3 Scripts/vapoursynth_wheel.py "$version" "$stage" "$out")
say "$wheel, $(($(stat -c %s "$wheel") >> 20)) MB"

# Wheels of vapoursynth are for Python 3.12 and later.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 \
        $(command -v pyenv >/dev/null && ls -d "$(pyenv root)"/versions/3.*/bin/python3 2>/dev/null | sort -rV) \
        $(command -v uv >/dev/null && uv python find '>=3.12' 2>/dev/null); do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}
if ! "$environment/venv/bin/python" -c 'import vapoursynth' 2>/dev/null; then
    rm -rf "$environment/venv"
    python=$(find_python) || { say "not tried: there is no Python 3.12 or later (set PYTHON)"; exit 0; }
    "$python" -m venv "$environment/venv"
    if ! "$environment/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'vapoursynth>=74'; then
        rm -rf "$environment/venv"
        say "not tried: pip cannot install vapoursynth"
        exit 0
    fi
fi
python=$environment/venv/bin/python
include=$("$python" -c 'import os, vapoursynth; print(os.path.dirname(vapoursynth.__file__) + "/include")')
"${CC:-cc}" -std=c11 -Wall -Werror -fsyntax-only -I "$include" Sources/CVapourSynth/abi-check.c ||
    fail "CVapourSynth.h differs from VapourSynth's header"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheel"
"$python" - << 'END'
import vapoursynth as vs
plugin = vs.core.videnhance
names = ", ".join(sorted(function.name for function in plugin.functions()))
print(f"vapoursynth: R{vs.__version__.release_major} has core.videnhance: {names}")
END
