# SPDX-License-Identifier: Apache-2.0
"""Film, photographs and their degraded clips as files of raw frames, in the formats of the trainer's cache folder.

`NAME.yuv` + `NAME.json` (width, height, count): 8-bit 4:2:0 frames (Sources/Training/FilmStore.swift).
`NAME-xFACTOR-PASS.degraded` + `.degraded.json`: clips; behind each frame's planes a byte for each 16 x 16 block, 0 where
the quantizer is not known (DegradedFilm.swift). Made here: `python3 films.py DATA CACHE --factor 2 --passes clean,train0`.
"""
import argparse
import json
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np

import degrade
import motion
from windows import SIDE, Frame

CLIP_LENGTHS = (40, 72)
PHOTOGRAPH_LENGTH, PHOTOGRAPH_SIDE = 24, 288
# Frames of a clip that determine its quantizer.
SURVEYED = 12
PHOTOGRAPHS = "photographs-train"


def sections(data):
    """The lines of sections.tsv: (path, use, start, end or None, divisor, drops duplicates, suits interpolation)."""
    for line in (Path(data) / "sections.tsv").read_text().splitlines():
        path, use, start, end, divisor, drops, suits = line.split("\t")[:7]
        yield path, use, float(start), None if end == "-" else float(end), int(divisor), drops == "1", suits == "1"


def film_name(path, start, divisor):
    return f"{path.replace('/', '_')}-{start}-{divisor}"


class Film:
    """Frames of a cache file."""

    def __init__(self, cache, name):
        header = json.loads((Path(cache) / f"{name}.json").read_text())
        self.name, self.cache = name, Path(cache)
        self.width, self.height, self.count = header["width"], header["height"], header["count"]
        self.data = np.memmap(self.cache / f"{name}.yuv", np.uint8, "r").reshape(-1)[
            :self.count * self.width * self.height * 3 // 2].reshape(self.count, -1)

    def frame(self, index):
        return Frame.of(self.data[index], self.width, self.height)

    def crop(self, index, x, y, width, height):
        return cut(self.frame(index), x, y, width, height)

    def difference(self, a, b):
        """Mean absolute luma difference over every 8th pixel of every 8th row."""
        a, b = (self.frame(i).planes[0][::8, ::8].astype(np.int16) for i in (a, b))
        return np.abs(a - b).mean()


class Degraded:
    """Degraded clips of a film."""

    def __init__(self, film, factor, pass_):
        base = film.cache / f"{film.name}-x{factor}-{pass_}.degraded"
        index = json.loads(Path(f"{base}.json").read_text())
        self.film, self.factor, self.clips = film, factor, index["clips"]
        self.width, self.height = index["width"], index["height"]
        self.blocks = ((self.height + SIDE - 1) // SIDE, (self.width + SIDE - 1) // SIDE)
        self.bytes = self.width * self.height * 3 // 2 + self.blocks[0] * self.blocks[1]
        self.data = np.memmap(base, np.uint8, "r")
        self.quantizers = {}

    def frame(self, clip, index):
        data = self.data[clip["offset"] + index * self.bytes:][:self.bytes]
        blocks = data[self.width * self.height * 3 // 2:].reshape(self.blocks)
        return Frame.of(data, self.width, self.height, blocks)

    def crop(self, clip, index, x, y, width, height):
        """A rectangle with the clip's mean quantizer."""
        return cut(self.frame(clip, index), x, y, width, height)._replace(quantizers=self.quantizer(clip))

    def quantizer(self, clip):
        """The mean quantizer of the first frames, as an array of one value; None if unknown."""
        offset = clip["offset"]
        if offset not in self.quantizers:
            frames = [self.frame(clip, index).quantizers for index in range(min(clip["count"], SURVEYED))]
            known = np.concatenate([blocks[blocks > 0] for blocks in frames]).astype(np.int64) - 1
            self.quantizers[offset] = np.full((1, 1), known.sum() // len(known), np.uint8) if len(known) else None
        return self.quantizers[offset]


def cut(frame, x, y, width, height):
    """A copy of a rectangle (even origin and extents) without quantizers."""
    return Frame([np.ascontiguousarray(plane[y // d:(y + height) // d, x // d:(x + width) // d])
                  for plane, d in zip(frame.planes, (1, 2, 2))])


# MARK: - Making


def decode(job):
    """Decodes a section into the cache."""
    data, cache, section = job
    path, _, start, end, divisor, drops, _ = section
    name = film_name(path, start, divisor)
    target = Path(cache) / f"{name}.yuv"
    if (Path(cache) / f"{name}.json").exists():
        return name
    # A packed part of a film begins later than the film does: see pack.py.
    begin = json.loads((Path(data) / "offsets.json").read_text()).get(path, 0) if (
        Path(data) / "offsets.json").exists() else 0
    count, previous = 0, None
    with av.open(str(Path(data) / path)) as file, open(f"{target}.part", "wb") as output:
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"
        origin = stream.start_time or 0
        width, height = (extent // divisor // 4 * 4 for extent in (stream.width, stream.height))
        for video in file.decode(stream):
            time = float((video.pts - origin) * stream.time_base) + begin
            if time < start - 1e-3:
                continue
            if end is not None and time >= end - 1e-3:
                break
            small = video.reformat(width, height, format="yuv420p", interpolation="BICUBIC").to_ndarray()
            luma = small[:height].astype(np.int16)
            if drops and previous is not None and np.abs(luma - previous).mean() < 0.5:
                continue
            output.write(small.tobytes())
            previous, count = luma, count + 1
    os.replace(f"{target}.part", target)
    (Path(cache) / f"{name}.json").write_text(json.dumps({"width": width, "height": height, "count": count}))
    return name


# The shorter sides to which photographs are reduced; for training, to each of them.
SHORT_SIDE = 1200
TRAINING_SHORT_SIDES = (SHORT_SIDE, 800, 540)


def photographs(folder, smallest=400, short_sides=(SHORT_SIDE,)):
    """Pictures below a folder, in the order of their paths, each reduced to `short_sides`.

    The first of these also takes smaller pictures, as they are.
    """
    result = []
    for path in sorted(str(p) for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")):
        with av.open(path) as file:
            video = next(file.decode(video=0))
        short = min(video.width, video.height)
        if short < smallest:
            continue
        for side in [side for index, side in enumerate(short_sides) if index == 0 or side < short]:
            factor = min(1, side / short)
            width, height = (int(extent * factor) // 4 * 4 for extent in (video.width, video.height))
            # Without ranges named samples stay as they are: the full range of JPEGs, too.
            small = video.reformat(width, height, format="yuv420p", interpolation="AREA")
            result.append(degrade.planes(small))
    return result


# The photographs, in each process that makes clips of them.
_pictures = []


def _keep(pictures):
    _pictures[:] = pictures


def _photograph_clip(index):
    """Frames (bytes) of one clip of photographs in motion, with the trainer's seed."""
    random = motion.SplitMix64(77 + index * 0x51ED270B)
    frames = motion.window(_pictures, PHOTOGRAPH_LENGTH, PHOTOGRAPH_SIDE, random, reaches_edges=True)
    return b"".join(plane.tobytes() for frame in frames for plane in frame.planes)


def make_photographs(data, cache, clips, workers):
    """Photographs in synthetic motion as a film of short clips."""
    if (Path(cache) / f"{PHOTOGRAPHS}.json").exists():
        return
    pictures = photographs(Path(data) / "train", short_sides=TRAINING_SHORT_SIDES)
    target = Path(cache) / f"{PHOTOGRAPHS}.yuv"
    with ProcessPoolExecutor(workers, initializer=_keep, initargs=(pictures,)) as pool, open(f"{target}.part", "wb") as output:
        for clip in pool.map(_photograph_clip, range(clips)):
            output.write(clip)
    os.replace(f"{target}.part", target)
    (Path(cache) / f"{PHOTOGRAPHS}.json").write_text(json.dumps(
        {"width": PHOTOGRAPH_SIDE, "height": PHOTOGRAPH_SIDE, "count": clips * PHOTOGRAPH_LENGTH}))


def _clip(job):
    """The bytes of one degraded clip and its chain."""
    cache, name, factor, pass_, first, count, seed = job
    film = Film(cache, name)
    width, height = (extent // factor // 2 * 2 for extent in (film.width, film.height))
    rng = np.random.default_rng(seed)
    frames = [film.crop(first + i, 0, 0, width * factor, height * factor) for i in range(count)]
    for attempt in range(4):
        chain = ({"kernel": "bicubic", "steps": []} if pass_ == "clean"
                 else degrade.draw(width, height, rng))
        try:
            result = degrade.run(chain, frames, factor, rng)
            break
        except (RuntimeError, av.FFmpegError) as problem:
            # If an encoder refuses a clip, the clip gets another chain; the run continues.
            print(f"{name} {first}: {chain}: {problem}", flush=True)
    else:
        raise RuntimeError(f"{name}: no chain works")
    blocks = ((height + SIDE - 1) // SIDE, (width + SIDE - 1) // SIDE)
    parts = []
    for frame in result:
        parts += [plane.tobytes() for plane in frame.planes]
        parts.append((np.zeros(blocks, np.uint8) if frame.quantizers is None else frame.quantizers + 1).tobytes())
    return b"".join(parts), chain


def make_degraded(cache, name, factor, pass_, pool):
    """Degrades the clips of a film, in processes of `pool`."""
    film = Film(cache, name)
    base = Path(cache) / f"{name}-x{factor}-{pass_}.degraded"
    if Path(f"{base}.json").exists():
        return
    seed = zlib.crc32(f"{name} {factor} {pass_}".encode())
    rng = np.random.default_rng(seed)
    parts, first = [], 0
    while first < film.count:
        wanted = PHOTOGRAPH_LENGTH if name == PHOTOGRAPHS else int(rng.integers(*CLIP_LENGTHS, endpoint=True))
        end = film.count if film.count - first < wanted + CLIP_LENGTHS[0] / 2 and name != PHOTOGRAPHS else first + wanted
        parts.append((first, min(end, film.count) - first))
        first = end
    jobs = [(cache, name, factor, pass_, first, count, [seed, i]) for i, (first, count) in enumerate(parts)]
    clips, offset = [], 0
    with open(f"{base}.part", "wb") as output:
        for (first, count), (data, chain) in zip(parts, pool.map(_clip, jobs)):
            output.write(data)
            clips.append({"first": first, "count": count, "offset": offset, "chain": chain})
            offset += len(data)
    os.replace(f"{base}.part", base)
    width, height = (extent // factor // 2 * 2 for extent in (film.width, film.height))
    Path(f"{base}.json").write_text(json.dumps({"version": 1, "width": width, "height": height, "clips": clips}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder with sections.tsv and what it names")
    parser.add_argument("cache", help="folder for the frames")
    parser.add_argument("--factor", type=int, default=2)
    parser.add_argument("--passes", default="clean,train0")
    parser.add_argument("--clips", type=int, default=960, help="clips of photographs")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    os.makedirs(options.cache, exist_ok=True)
    train = [s for s in sections(options.data) if s[1] == "train" and (Path(options.data) / s[0]).exists()]
    with ProcessPoolExecutor(options.workers) as pool:
        names = list(pool.map(decode, [(options.data, options.cache, s) for s in train]))
        if (Path(options.data) / "train" / "photos").exists():
            make_photographs(options.data, options.cache, options.clips, options.workers)
            names.append(PHOTOGRAPHS)
        for pass_ in options.passes.split(","):
            for name in names:
                make_degraded(options.cache, name, options.factor, pass_, pool)
                print(f"{name} x{options.factor} {pass_}", flush=True)


if __name__ == "__main__":
    main()
