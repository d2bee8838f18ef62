#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a virtual environment with everything that benchmarks compare with, and prints its Python.
#
#   [PYTHON=python3.12] Benchmarks/venv.sh FOLDER
#
# VapourSynth's plugins want Python 3.12 or later; with an older one all others are installed. What is there is kept.
set -euo pipefail

folder=$1
here=$(dirname "$(realpath "$0")")
say() { echo "venv: $*" >&2; }

if ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    for python in ${PYTHON:-python3.12 python3}; do
        # The name alone is not enough: version managers have shims for versions that are not installed.
        "$python" -c 'import ensurepip, venv' 2>/dev/null && break
    done
    say "installing $(grep -c == "$here/requirements.txt") packages into $folder"
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$folder/requirements.txt"
fi
# The wheels of ncnn's networks are linked against LLVM's OpenMP and do not bring it along.
if command -v ldconfig >/dev/null && ! ldconfig -p | grep -q libomp.so.5; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say libomp5
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            -o DPkg::Lock::Timeout=300 libomp5 >/dev/null
    else
        say "libomp.so.5 is missing; as root: apt-get install libomp5"
    fi
fi
echo "$folder/bin/python"
