# SPDX-License-Identifier: Apache-2.0
"""Training windows drawn from a cache folder, as Sources/Training/TrainingWindow.swift draws them, by several processes.

Motion and codes are made on the CPU, once a window, behind the augmentation. `python3 sampler.py CACHE` measures how
many windows a core makes.
"""
import argparse
import multiprocessing
import os
import queue
import time
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np

import degrade
import films
import windows
from model_file import Architecture
from windows import Frame

MOST_NOISE = 55
MOTION_MARGIN = 40


class Sampler:
    """Draws windows for one architecture.

    - crop: side of the ground truth.
    - clean_share, quantizer_share: parts of the windows that are only shrunk, and in which the network receives the quantizers.
    """

    def __init__(self, cache, architecture, crop, clean_share, quantizer_share, photograph_share=0.6):
        self.architecture, self.crop = architecture, crop
        self.clean_share, self.quantizer_share = clean_share, quantizer_share
        self.side = crop // architecture.scale
        names = sorted(path.stem for path in Path(cache).glob("*.yuv") if "-val" not in path.stem)
        self.films, self.photographs, self.sets = [], None, {}
        for name in names:
            film = films.Film(cache, name)
            if film.count < max(8, architecture.window) or min(film.width, film.height) < crop:
                continue
            if name.startswith(films.PHOTOGRAPHS):
                self.photographs = film
            elif architecture.task != "interp" or "vtest" not in name:
                self.films.append(film)
            for path in Path(cache).glob(f"{name}-x{architecture.scale}-*.degraded.json"):
                pass_ = path.name.removesuffix(".degraded.json").rsplit("-", 1)[1]
                if pass_ != "val":
                    self.sets.setdefault((name, "clean" if pass_ == "clean" else "spoiled"), []).append(
                        films.Degraded(film, architecture.scale, pass_))
        if not self.films and not self.photographs:
            raise SystemExit(f"sampler.py: no film of at least {crop} x {crop} pixels in {cache}")
        self.photograph_share = photograph_share if self.photographs and self.films else float(not self.films)
        weights = np.sqrt([film.count for film in self.films])
        # Long films must not dominate.
        self.weights = weights / weights.sum() if self.films else None

    def film(self, rng, share):
        if rng.random() < share:
            return self.photographs
        return self.films[rng.choice(len(self.films), p=self.weights)]

    def draw(self, rng):
        """A window's record."""
        a = self.architecture
        if a.task == "interp":
            return self.interpolation(rng)
        clean = not a.conditioned or rng.random() < self.clean_share
        frames, truth = self.clip_window(rng, "clean" if clean else "spoiled")
        known, noise = rng.random() < self.quantizer_share, None
        if a.task == "denoise":
            frames, noise = self.noisy(frames, rng)
        elif a.conditioned and clean:
            # Good sources have fine quantizers.
            map_ = np.full(((self.side + 15) // 16,) * 2, rng.integers(30), np.uint8) if known else None
            frames = [frame._replace(quantizers=map_) for frame in frames]
        elif a.conditioned and not known:
            frames = [frame._replace(quantizers=None) for frame in frames]
        elif not a.conditioned and rng.random() >= self.clean_share:
            frames = self.spoiled(frames, rng)
        return windows.record(frames, truth, a, noise=noise)

    def clip_window(self, rng, kind):
        """(low frames, ground truth), turned: cuts and flat pictures are passed over, but not for ever."""
        a = self.architecture
        count = a.window
        for _ in range(8):
            film = self.film(rng, self.photograph_share)
            sets = self.sets.get((film.name, kind))
            if not sets and (kind == "spoiled" or a.scale > 1):
                raise SystemExit(f"sampler.py: no {kind} clips x{a.scale} of {film.name}: run films.py")
            if not sets:
                # At full size clean footage is the film itself; clips of photographs have one length.
                length = films.PHOTOGRAPH_LENGTH if film is self.photographs else film.count
                clip_first = rng.integers(film.count // length) * length
                first, begin = 0, int(clip_first + rng.integers(length - count + 1))
                x, y = (int(rng.integers((extent - self.crop) // 2 + 1)) * 2 for extent in (film.width, film.height))
                low = [film.crop(begin + i, x, y, self.crop, self.crop) for i in range(count)]
            else:
                source = sets[rng.integers(len(sets))]
                clip = source.clips[rng.integers(len(source.clips))]
                if clip["count"] < count:
                    continue
                first = int(rng.integers(clip["count"] - count + 1))
                begin = clip["first"] + first
                x, y = (int(rng.integers((extent - self.side) // 16 + 1)) * 16 for extent in (source.width, source.height))
                low = [source.crop(clip, first + i, x, y, self.side, self.side) for i in range(count)]
                x, y = x * a.scale, y * a.scale
            truth = film.crop(begin + count // 2, x, y, self.crop, self.crop)
            cut = any(film.difference(i, i + 1) > 20 for i in range(begin, begin + count - 1))
            if not cut and detail(truth) > 1.5:
                break
        turn = symmetry(rng)
        low = [turned(frame, turn) for frame in low]
        return low[::-1] if turn[3] else low, turned(truth, turn)

    def spoiled(self, frames, rng):
        """What Degradation does to windows of networks that are not conditioned."""
        if rng.random() < 0.4:
            deviation = rng.uniform(0.5, 6)
            frames = degrade.grain(frames, deviation, 0.6, 0, rng)
        return recompressed(frames, rng) if rng.random() < 0.6 else frames

    def noisy(self, frames, rng):
        """(noisy frames, the level that the network receives, or None)."""
        known = rng.random() < 0.5
        if rng.random() < 0.08:
            return frames, 0 if known else None
        draw = rng.random()
        level = MOST_NOISE * (draw if rng.random() < 0.5 else draw * draw)
        camera = rng.random() >= self.clean_share
        result = []
        for frame in frames:
            chroma = rng.uniform(0.4, 1) if camera else 1
            planes = []
            for index, plane in enumerate(frame.planes):
                strength = np.float32(level * (chroma if index else 1))
                if camera and index == 0:
                    # Shot noise: grows with the square root of brightness.
                    strength = strength * np.sqrt(plane.astype(np.float32) / 128 + np.float32(0.2))
                value = plane + strength * rng.standard_normal(plane.shape, np.float32)
                planes.append(np.clip(np.floor(value + 0.5), 0, 255).astype(np.uint8))
            result.append(Frame(planes))
        if camera and rng.random() < 0.4:
            result = recompressed(result, rng)
        return result, level if known and not camera else None

    def interpolation(self, rng):
        """Two frames some steps apart and one between them; the margin serves the search of motion only."""
        span = int(rng.choice([2, 2, 2, 2, 3, 4, 4, 6, 8]))
        between, still = int(rng.integers(1, span)), rng.random() < 0.1
        size = self.crop + 2 * MOTION_MARGIN
        for _ in range(8):
            film = self.film(rng, self.photograph_share * 0.6)
            length = films.PHOTOGRAPH_LENGTH if film is self.photographs else film.count
            first = int(rng.integers(film.count // length) * length + rng.integers(length - span))
            if min(film.width, film.height) < size:
                continue
            x, y = (int(rng.integers((extent - size) // 2 + 1)) * 2 for extent in (film.width, film.height))
            frames = [film.crop(first + i, x, y, size, size) for i in (0, between, span)]
            if any(film.difference(i, i + 1) > 20 for i in range(first, first + span)):
                continue
            inner = slice(size // 4, size * 3 // 4, 2)
            a, b = (frames[i].planes[0][inner, inner].astype(np.int16) for i in (0, 2))
            if detail(frames[1]) > 1.5 and np.abs(a - b).mean() >= (0 if still else 1.5):
                break
        turn = symmetry(rng)
        frames = [turned(frame, turn) for frame in frames]
        frames = frames[::-1] if turn[3] else frames
        time_ = span - between if turn[3] else between
        instant = max(1, min(255, (time_ * 256 + span // 2) // span))
        ends = [frames[0], frames[2]]
        if rng.random() >= self.clean_share:
            ends = recompressed(ends, rng)
        return windows.record(ends, frames[1], self.architecture, instant, margin=MOTION_MARGIN)


def recompressed(frames, rng):
    """The frames of a window as a codec leaves them."""
    if rng.random() < 0.15:
        quality = str(2 + rng.integers(8))
        frames = degrade.round_trip(frames, "mpeg2video", {"qmin": quality, "qmax": quality})
    else:
        frames = degrade.round_trip(frames, "libx264", {"crf": str(18 + rng.integers(17)), "preset": "veryfast",
                                                        "bf": "1", "mbtree": "0"})
    return [Frame([np.ascontiguousarray(plane) for plane in frame.planes]) for frame in frames]


def detail(frame):
    """Mean absolute difference of horizontal neighbours, in levels."""
    luma = frame.planes[0][::4].astype(np.int16)
    return np.abs(luma[:, :-1:2] - luma[:, 1::2]).mean()


def symmetry(rng):
    """(mirrors, flips, transposes, reverses)."""
    return tuple(rng.random(4) < 0.5)


def turned(frame, turn):
    """A square frame mirrored, flipped, transposed."""
    def one(plane):
        plane = plane[:, ::-1] if turn[0] else plane
        plane = plane[::-1] if turn[1] else plane
        return np.ascontiguousarray(plane.T if turn[2] else plane)

    map_ = frame.quantizers
    return Frame([one(plane) for plane in frame.planes], None if map_ is None else one(map_))


# MARK: - Processes


class Workers:
    """Processes that make records into shared memory; `take` hands them over."""

    def __init__(self, count, arguments, record_bytes, slots=2048, seed=1):
        slots = min(slots, max(64, (4 << 30) // record_bytes))
        self.memory = shared_memory.SharedMemory(create=True, size=slots * record_bytes)
        self.records = np.ndarray((slots, record_bytes), np.uint8, self.memory.buf)
        context = multiprocessing.get_context("spawn")
        self.free, self.full = context.Queue(), context.Queue()
        for slot in range(slots):
            self.free.put(slot)
        self.processes = [
            context.Process(target=_work, daemon=True, args=(
                self.memory.name, record_bytes, slots, self.free, self.full, arguments, [seed, index]))
            for index in range(count)]
        for process in self.processes:
            process.start()

    def take(self, most, wait=0.0):
        """Slots of up to `most` finished records; waits up to `wait` seconds for the first."""
        slots = []
        while len(slots) < most:
            try:
                slot = self.full.get(timeout=wait) if wait and not slots else self.full.get_nowait()
            except queue.Empty:
                break
            if isinstance(slot, str):
                raise RuntimeError(f"a worker failed: {slot}")
            slots.append(slot)
        return slots

    def give_back(self, slots):
        for slot in slots:
            self.free.put(slot)

    def close(self):
        for process in self.processes:
            process.terminate()
            process.join()
        self.memory.close()
        self.memory.unlink()


def _work(name, record_bytes, slots, free, full, arguments, seed):
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        memory = shared_memory.SharedMemory(name=name)
        records = np.ndarray((slots, record_bytes), np.uint8, memory.buf)
        sampler, rng = Sampler(*arguments), np.random.default_rng(seed)
        while True:
            slot = free.get()
            records[slot] = sampler.draw(rng)
            full.put(slot)
    except BaseException as problem:
        full.put(repr(problem))
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cache")
    parser.add_argument("--task", default="sr")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    architecture = Architecture.balanced(options.task, options.scale)
    crop = 96 * architecture.scale
    sampler, rng = Sampler(options.cache, architecture, crop, 0.25, 0.65), np.random.default_rng(1)
    sampler.draw(rng)
    began = time.process_time()
    for _ in range(options.count):
        size = sampler.draw(rng).size
    seconds = (time.process_time() - began) / options.count
    print(f"{options.task}: {1 / seconds:.0f} windows a second of one core's time, {size} bytes each")


if __name__ == "__main__":
    main()
