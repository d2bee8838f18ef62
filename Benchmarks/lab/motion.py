# SPDX-License-Identifier: Apache-2.0
"""Photographs in synthetic motion: Sources/Training/SyntheticMotion.swift with the same draws of the same generator.

Samples may differ by a level where Swift's floats round otherwise.
"""
import math

import numpy as np

from windows import Frame

MASK = (1 << 64) - 1


class SplitMix64:
    """The program's generator."""

    def __init__(self, seed):
        self.state = seed & MASK

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def uniform(self, low=0.0, high=1.0):
        unit = (self.next() >> 40) * 2.0**-24
        return low + (high - low) * unit

    def index(self, count):
        return self.next() % count

    def chance(self, probability):
        return self.uniform() < probability

    def normals(self, count):
        """`count` standard normal numbers: sums of twelve uniforms each."""
        with np.errstate(over="ignore"):
            steps = np.arange(1, 12 * count + 1, dtype=np.uint64)
            z = np.uint64(self.state) + steps * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        self.state = (self.state + 12 * count * 0x9E3779B97F4A7C15) & MASK
        units = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        total = np.full(count, -6, np.float32)
        for part in units.reshape(count, 12).T:
            total += part
        return total


def _taps(t):
    t2, t3 = t * t, t * t * t
    return np.stack([t2 - 0.5 * (t3 + t), 1.5 * t3 - 2.5 * t2 + 1, 2 * t2 - 1.5 * t3 + 0.5 * t, 0.5 * (t3 - t2)])


TAPS = _taps(np.arange(65) / 64).astype(np.float32)


def _resample(source, transform, width, height):
    """Bicubic (a = -1/2) at 64 phases, edges repeated; (a, b, c, d): x' = a x - b y + c, y' = b x + a y + d."""
    a, b, c, d = (np.float32(v) for v in transform)
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    fx, fy = a * x - b * y + c, b * x + a * y + d
    bx, by = np.floor(fx), np.floor(fy)
    px, py = ((f - g) * 64 + 0.5 for f, g in ((fx, bx), (fy, by)))
    wx, wy = TAPS[:, px.astype(np.int32)], TAPS[:, py.astype(np.int32)]
    ix, iy = bx.astype(np.int32), by.astype(np.int32)
    columns = [np.clip(ix - 1 + i, 0, source.shape[1] - 1) for i in range(4)]
    total = np.zeros((height, width), np.float32)
    flat = source.ravel()
    for j in range(4):
        row = np.clip(iy - 1 + j, 0, source.shape[0] - 1) * source.shape[1]
        total += wy[j] * sum(wx[i] * flat[row + columns[i]] for i in range(4))
    return np.clip(total + np.float32(0.5), 0, 255).astype(np.uint8)


def render(picture, transform, width, height):
    """A frame of a picture under a transform."""
    a, b, c, d = transform
    half = (a, b, (c + 0.5 * (a - b) - 0.5) / 2, (d + 0.5 * (a + b) - 0.5) / 2)
    y, u, v = picture.planes
    return [_resample(y, transform, width, height), _resample(u, half, width // 2, height // 2),
            _resample(v, half, width // 2, height // 2)]


def window(pictures, count, size, random, reaches_edges=False):
    """`count` frames of `size` x `size` along a smooth path; the middle one is the undisturbed.

    With `reaches_edges`, they come from all parts of the pictures.
    """
    picture = pictures[random.index(len(pictures))]
    speed = [0, 1, 2, 4, 8][random.index(5)] * random.uniform(0.3, 1)
    direction = random.uniform(0, 2 * math.pi)
    velocity = speed * math.cos(direction), speed * math.sin(direction)
    turn = random.uniform(-0.007, 0.007) if random.chance(0.5) else 0
    zoom = 1 + random.uniform(-0.004, 0.004) if random.chance(0.5) else 1
    start = random.uniform(0.75, 1.3) if random.chance(0.3) else 1
    corner = size / 2
    margin = 0.58 * size * start + speed * count / 2 if reaches_edges else 0.75 * size * max(1, start) + 12 * count

    def place(extent):
        middle = margin + (extent - 2 * margin) * random.uniform() if extent > 2 * margin else extent / 2
        return corner + 2 * round((middle - corner) / 2)

    centre = [place(extent) for extent in reversed(picture.planes[0].shape)]
    over = _foreground(pictures, size, random) if random.chance(0.5) else None
    frames = []
    for index in range(count):
        t = index - count // 2
        scale = start * zoom**t
        a, b = math.cos(turn * t) * scale, math.sin(turn * t) * scale
        planes = render(picture, (a, b, centre[0] + velocity[0] * t - (a - b) * corner,
                                  centre[1] + velocity[1] * t - (a + b) * corner), size, size)
        if over:
            _draw(over, planes, t)
        frames.append(Frame(planes))
    return frames


def _foreground(pictures, size, random):
    picture = pictures[random.index(len(pictures))]
    height, width = picture.planes[0].shape
    origin = [2 * math.floor(random.uniform() * max(1, extent - size) / 2) for extent in (width, height)]
    velocity = random.uniform(-6, 6), random.uniform(-6, 6)
    shift = random.uniform(-0.3, 0.3) * size, random.uniform(-0.3, 0.3) * size
    edges = []
    for _ in range(3 + random.index(5)):
        angle = random.uniform(0, 2 * math.pi)
        distance = random.uniform(0.08, 0.35) * size
        x, y = math.cos(angle), math.sin(angle)
        edges.append((x, y, distance + x * shift[0] + y * shift[1]))
    return picture, origin, velocity, edges


def _draw(over, planes, t):
    picture, origin, velocity, edges = over
    size = planes[0].shape[0]
    layer = render(picture, (1, 0, origin[0] - velocity[0] * t, origin[1] - velocity[1] * t), size, size)
    for index, plane in enumerate(planes):
        step, side = (2, size // 2) if index else (1, size)
        at = (np.arange(side, dtype=np.float32) + 0.5 - side / 2) * step
        px, py = (at - velocity[0] * t)[None], (at - velocity[1] * t)[:, None]
        inside = np.float32(1)
        for x, y, distance in edges:
            inside = np.minimum(inside, distance - x * px - y * py)
        share = np.clip(inside + np.where(inside < 1, 0.5, 0), 0, 1)
        value = plane + (layer[index].astype(np.float32) - plane) * share + 0.5
        planes[index] = np.where(share > 0, value, plane).astype(np.uint8)
