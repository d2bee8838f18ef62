#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packs a folder as the wheel of the VapourSynth plugin and prints the wheel's path.

Usage: vapoursynth_wheel.py VERSION FOLDER OUT
"""
import base64
import hashlib
import os
import pathlib
import platform
import sys
import time
import zipfile

NAME = "vapoursynth_videnhance"


def main(version: str, folder: str, out: str) -> None:
    tag = f"py3-none-linux_{platform.machine()}"
    info = f"{NAME}-{version}.dist-info"
    root = pathlib.Path(folder)
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: {NAME.replace('_', '-')}\nVersion: {version}\n"
        "Summary: Enhances video with quantized networks on processors: super-resolution, denoising, interpolation\n"
        "License-Expression: Apache-2.0\nLicense-File: LICENSE\nLicense-File: copyright\nRequires-Python: >=3.12\n"
        "Requires-Dist: vapoursynth>=74\n"
    ).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: videnhance {version}\nRoot-Is-Purelib: false\nTag: {tag}\n"
    ).encode()
    # The second one covers Swift's runtime.
    project = pathlib.Path(__file__).resolve().parent.parent
    files[f"{info}/licenses/LICENSE"] = (project / "LICENSE").read_bytes()
    files[f"{info}/licenses/copyright"] = (project / "Packaging" / "copyright").read_bytes()
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()

    path = os.path.join(out, f"{NAME}-{version}-{tag}.whl")
    date = time.gmtime(max(int(os.environ["SOURCE_DATE_EPOCH"]), 315532800))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, date)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            wheel.writestr(entry, data)
    print(path)


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


main(*sys.argv[1:])
