# SPDX-License-Identifier: Apache-2.0
"""The trainer's validation windows (Sources/Training/Validation.swift), cut here from a data folder and carried along.

`python3 validation.py DATA RESULT.npz --task sr` needs the trainer's cache in DATA/.cache (`make data`); the file holds
frames and ground truth, so that any window length and network up to it can be measured where there is no data.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

import degrade
import films
import motion
import twin
import windows
from model_file import Architecture

SIZE, PER_CLIP = 256, 8
KINDS = ["web", "soft", "dvd", "old"]


def collect(data, architecture):
    """[(group, frames, truth)] in the trainer's order; clean groups first."""
    cache = Path(data) / ".cache"
    interpolates = architecture.task == "interp"
    count = 3 if interpolates else architecture.window
    longest, random, result = max(5, count), motion.SplitMix64(2026), []

    def add(group, truth):
        middle = truth[count // 2]
        if interpolates:
            low = [truth[0], truth[2]]
        elif architecture.task == "denoise":
            low = [_noisy(frame, 25, random) for frame in truth]
        else:
            low = degrade.shrunk_by_plane(truth, architecture.scale)
        result.append((group, low, middle))

    sections = [s for s in films.sections(data) if s[1] == "val"]
    for path, _, start, _, divisor, _, suits in sections:
        film = films.Film(cache, films.film_name(path, start, divisor))
        if interpolates and not suits or film.count < longest or min(film.width, film.height) < SIZE:
            continue
        for index in range(PER_CLIP):
            centre = longest // 2 + (film.count - longest) * index // max(1, PER_CLIP - 1)
            x = random.index((film.width - SIZE) // 2 + 1) * 2
            y = random.index((film.height - SIZE) // 2 + 1) * 2
            add(Path(path).stem, [film.crop(centre - count // 2 + i, x, y, SIZE, SIZE) for i in range(count)])
    pictures = films.photographs(Path(data) / "val")
    for _ in range(PER_CLIP if pictures else 0):
        whole = motion.window(pictures, longest, SIZE, random)
        add("photographs", whole[(longest - count) // 2:(longest + count) // 2])
    if architecture.conditioned:
        result += _degraded(data, architecture, sections)
    return result


def _noisy(frame, deviation, random):
    planes = []
    for plane in frame.planes:
        value = plane + np.float32(deviation) * random.normals(plane.size).reshape(plane.shape)
        planes.append(np.clip(np.floor(value + 0.5), 0, 255).astype(np.uint8))
    return windows.Frame(planes)


def _degraded(data, architecture, sections):
    cache, scale, count = Path(data) / ".cache", architecture.scale, architecture.window
    names = [films.film_name(path, start, divisor) for path, _, start, _, divisor, _, _ in sections]
    names += [path.stem for path in cache.glob("photographs-val-*.yuv")]
    random, side, found = motion.SplitMix64(2027), SIZE // scale, {kind: [] for kind in KINDS}
    for name in names:
        source = films.Degraded(films.Film(cache, name), scale, "val")
        if min(source.width, source.height) < side:
            continue
        for clip in source.clips:
            for index in range(PER_CLIP // 2 if clip["count"] >= count else 0):
                first = (clip["count"] - count) * index // max(1, PER_CLIP // 2 - 1)
                x = random.index((source.width - side) // 16 + 1) * 16
                y = random.index((source.height - side) // 16 + 1) * 16
                low = [source.crop(clip, first + i, x, y, side, side) for i in range(count)]
                truth = source.film.crop(clip["first"] + first + count // 2, x * scale, y * scale, SIZE, SIZE)
                found[clip["kind"]].append((clip["kind"], low, truth))
    return [window for kind in KINDS for window in found[kind]]


def save(path, found, architecture):
    """Frames as planes behind one another, one array for all windows; quantizers 0 where not known, else one more."""
    def flat(frame):
        return np.concatenate([plane.ravel() for plane in frame.planes])

    side = found[0][1][0].planes[0].shape[0]
    blocks = ((side + 15) // 16,) * 2
    maps = [[np.zeros(blocks, np.uint8) if frame.quantizers is None else frame.quantizers + 1 for frame in low]
            for _, low, _ in found]
    np.savez_compressed(path, architecture=architecture.json(), groups=np.array([group for group, _, _ in found]),
                        low=np.array([[flat(frame) for frame in low] for _, low, _ in found]),
                        truth=np.array([flat(truth) for _, _, truth in found]), quantizers=np.array(maps))


class Validation:
    """Windows of a file as tensors on a device, for networks of its task and scale with at most its window."""

    def __init__(self, path, architecture, device="cpu"):
        file = np.load(path)
        made_for = Architecture.from_json(str(file["architecture"]))
        if (made_for.task, made_for.scale) != (architecture.task, architecture.scale):
            raise ValueError(f"{path} is for {made_for.task} x{made_for.scale}")
        self.architecture, self.device = architecture, device
        side = SIZE // architecture.scale
        self.extent = side // 2
        truth_side = SIZE
        skip = (made_for.window - architecture.window) // 2
        if skip < 0:
            raise ValueError(f"{path} holds windows of {made_for.window} frames only")
        self.groups, records = list(file["groups"]), []
        for low, truth, maps in zip(file["low"], file["truth"], file["quantizers"]):
            inner = slice(skip, skip + architecture.window)
            frames = [windows.Frame.of(data, side, side, map_ - np.minimum(map_, 1) if map_[0, 0] else None)
                      for data, map_ in zip(low[inner], maps[inner])]
            records.append(windows.record(frames, windows.Frame.of(truth, truth_side, truth_side), architecture))
        self.records = torch.from_numpy(np.stack(records))

    @torch.no_grad()
    def evaluate(self, network, batch=8):
        """[(group, PSNR of luma, that of the resampled source)]; `network` takes the slots and gives residuals."""
        sums, luma = {}, self.architecture.luma_channels
        for begin in range(0, len(self.groups), batch):
            codes, truth = twin.unpack(self.records[begin:begin + batch].to(self.device), self.architecture,
                                       self.extent, self.extent)
            wanted = twin.target(codes, truth, self.architecture)
            output = network([twin.floats(slot) for slot in codes]).float()
            # A twelfth of a squared level is what rounding to whole levels will add.
            errors = (twin.error(output, wanted, self.architecture)[:, :luma].double() * 255).square() + 1 / 12
            plain = (wanted[:, :luma].double() * 255).square() + 1 / 12
            for index in range(len(errors)):
                ours, theirs, n = sums.get(self.groups[begin + index], (0, 0, 0))
                sums[self.groups[begin + index]] = (
                    ours + errors[index].sum().item(), theirs + plain[index].sum().item(), n + errors[index].numel())
        return [(group, *(10 * np.log10(255**2 * n / part) for part in (ours, theirs)))
                for group, (ours, theirs, n) in sums.items()]


def text(result):
    """The mean gains over clean and spoiled groups, and each group's PSNR."""
    means = []
    for name, rows in [("clean", [r for r in result if r[0] not in KINDS]), ("degraded", [r for r in result if r[0] in KINDS])]:
        if rows:
            means.append(f"{name} {np.mean([a - b for _, a, b in rows]):+.3f} dB")
    return ", ".join(means) + ": " + ", ".join(f"{group} {a:.2f} ({a - b:+.2f})" for group, a, b in result)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("result")
    parser.add_argument("--task", default="sr", choices=["sr", "restore", "denoise", "interp"])
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--check", metavar="WEIGHTS", help="measure a model file on what is in RESULT instead")
    options = parser.parse_args()
    if options.check:
        network, _ = twin.load(options.check)
        print(text(Validation(options.result, network.architecture).evaluate(network)))
        return
    architecture = Architecture.balanced(options.task, options.scale)
    found = collect(options.data, architecture)
    save(options.result, found, architecture)
    print(json.dumps({"windows": len(found), "bytes": Path(options.result).stat().st_size}))


if __name__ == "__main__":
    main()
