# SPDX-License-Identifier: Apache-2.0
"""Packs training material and wheels into parts that travel to a machine without a network: `pack.py DATA PARTS`.

Film travels as the compressed files it came from, cut to what TRAIN uses without another coding; photographs are shrunk
as the trainer shrinks them and stored nearly without loss. Everything else - frames, spoiled clips - is made anew there
from seeds (films.py), which is a hundredth of the bytes. Each part is a folder with one tar file.
"""
import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

import degrade
import films
import kernels

AV = "av==18.1.0"
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]


def cut(source, target, start, end):
    """Copies the packets of a file from the last key frame before `start` on; returns the time it begins at."""
    with av.open(str(source)) as file, av.open(str(target), "w") as output:
        stream = file.streams.video[0]
        copy = output.add_stream_from_template(stream)
        origin = stream.start_time or 0
        file.seek(int(start / stream.time_base) + origin, stream=stream)
        first = None
        for packet in file.demux(stream):
            if packet.dts is None:
                continue
            if first is None:
                first = packet.pts
            # Past the end by more than frames are out of order.
            if end is not None and float((packet.dts - origin) * stream.time_base) > end + 2:
                break
            packet.pts, packet.dts = packet.pts - first, packet.dts - first
            packet.stream = copy
            output.mux(packet)
    return float((first - origin) * stream.time_base)


def film_parts(data, folder):
    """Writes what TRAIN uses of the clips of sections.tsv below `folder`."""
    offsets, lines, packed = {}, [], set()
    text = (Path(data) / "sections.tsv").read_text().splitlines()
    for line, (path, use, start, end, *_) in zip(text, films.sections(data), strict=True):
        if use != "train":
            continue
        lines.append(line)
        # The same part of a film is used at several sizes.
        if (path, start, end) in packed:
            continue
        packed.add((path, start, end))
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if start > 0 and target.suffix == ".mp4":
            offsets[path] = cut(Path(data) / path, target, start, end)
        else:
            target.write_bytes((Path(data) / path).read_bytes())
    (folder / "sections.tsv").write_text("\n".join(lines) + "\n")
    (folder / "offsets.json").write_text(json.dumps(offsets))


def photograph_parts(data, folder):
    """Writes the training photographs, shrunk, as JPEGs of the highest quality; returns the mean PSNR of luma."""
    (folder / "train" / "photos").mkdir(parents=True, exist_ok=True)
    quality = []
    for index, picture in enumerate(films.photographs(Path(data) / "train")):
        height, width = picture.planes[0].shape
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base = Fraction(1, 25)
        encoder.options = {"qmin": "1", "qmax": "1", "strict": "-1", "huffman": "optimal"}
        target = folder / "train" / "photos" / f"{index:03}.jpg"
        target.write_bytes(b"".join(bytes(p) for p in encoder.encode(degrade.picture(picture)) + encoder.encode(None)))
        with av.open(str(target)) as file:
            back = degrade.planes(next(file.decode(video=0)))
        error = np.mean((back.planes[0].astype(np.float32) - picture.planes[0]) ** 2)
        quality.append(10 * np.log10(255**2 / max(error, 1e-3)))
    return float(np.mean(quality)) if quality else float("nan")


def wheels(folder, python):
    """Downloads PyAV, which brings FFmpeg's libraries with libx264, libx265 and libvpx."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--python-version",
               python, "--implementation", "cp", "-d", str(folder), AV]
    subprocess.run(command + [part for p in PLATFORMS for part in ("--platform", p)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="data folder (make data)")
    parser.add_argument("parts", help="folder for part0, part1, ...")
    parser.add_argument("--limit", type=float, default=44, help="MiB of a part")
    parser.add_argument("--python", default="3.12", help="Python of the machine")
    parser.add_argument("--also", nargs="*", default=[], help="files for the first part: weights, validation windows")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        film_parts(options.data, folder / "data")
        quality = photograph_parts(options.data, folder / "data")
        print(f"photographs: {quality:.1f} dB behind the packing")
        wheels(folder / "wheels", options.python)
        (folder / "also").mkdir()
        kernels.build(folder / "also" / "kernels.so")
        for path in options.also:
            (folder / "also" / Path(path).name).write_bytes(Path(path).read_bytes())
        found = [path for path in folder.rglob("*") if path.is_file()]
        # What setting up needs goes first, then the largest into the first part that has room.
        found.sort(key=lambda p: (p.parts[len(folder.parts)] not in ("wheels", "also"), p.suffix not in (".tsv", ".json"),
                                  -p.stat().st_size))
        limit, parts = int(options.limit * (1 << 20)), []
        for path in found:
            size = path.stat().st_size + 2048
            if size > limit:
                raise SystemExit(f"pack.py: {path.relative_to(folder)} has {size} bytes, more than a part holds")
            part = next((p for p in parts if p[0] + size <= limit), None)
            if part is None:
                part = [0, []]
                parts.append(part)
            part[0] += size
            part[1].append(path)
        for index, (_, paths) in enumerate(parts):
            target = Path(options.parts) / f"part{index}"
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(target / "part.tar", "w") as tar:
                for path in paths:
                    tar.add(path, path.relative_to(folder))
            print(f"part{index}: {(target / 'part.tar').stat().st_size / (1 << 20):.1f} MiB: "
                  + ", ".join(str(path.relative_to(folder)) for path in paths[:6]) + (" ..." if len(paths) > 6 else ""))


if __name__ == "__main__":
    main()
