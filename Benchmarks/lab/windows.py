# SPDX-License-Identifier: Apache-2.0
"""Windows of frames as networks read them: the codes of Sources/EnhancementModel/WindowPacker.swift, to the bit.

A frame is `Frame(planes, quantizers)`: Y, U, V as uint8 arrays without gaps, and a map of the quantizers of its 16 x 16
blocks (uint8 [rows, columns], twice the quantizer on H.264's scale) or None.
"""
from typing import NamedTuple

import numpy as np

import kernels
from model_file import DETAIL_CHANNELS

UNKNOWN = 128
SIDE = 16


class Frame(NamedTuple):
    planes: list
    quantizers: np.ndarray | None = None

    @staticmethod
    def of(data, width, height, quantizers=None):
        """A frame of packed planes."""
        luma, half = width * height, (height // 2, width // 2)
        return Frame([data[:luma].reshape(height, width), data[luma:luma + luma // 4].reshape(half),
                      data[luma + luma // 4:luma + luma // 2].reshape(half)], quantizers)


def packed(frame, scale=1):
    """[H / (2 scale), W / (2 scale), 6 scale²]: luma's phases, U's, V's, for a window whose grid is that of a source
    `scale` times smaller."""
    def phases(plane, side):
        height, width = plane.shape
        return (plane.reshape(height // side, side, width // side, side).transpose(0, 2, 1, 3)
                .reshape(height // side, width // side, side * side))

    y, u, v = frame.planes
    return np.concatenate([phases(y, 2 * scale), phases(u, scale), phases(v, scale)], 2)


def noise_level(luma):
    """NoiseLevel.estimate: the standard deviation of noise in levels."""
    height, width = luma.shape
    if min(height, width) < 10:
        return np.float32(0)
    rows, columns = ((height - 10) // 8 + 1) * 8, ((width - 10) // 8 + 1) * 8
    x = luma[:rows + 2, :columns + 2].astype(np.int32)
    line = x[:, :-2] - 2 * x[:, 1:-1] + x[:, 2:]
    rough = np.abs(line[:-2] - 2 * line[1:-1] + line[2:])
    blocks = (rows // 8, 8, columns // 8, 8)
    roughness = rough.reshape(blocks).sum((1, 3)).ravel()
    brightness = x[1:-1, 1:-1].reshape(blocks).sum((1, 3)).ravel() // 64
    calm = roughness[(brightness >= 24) & (brightness <= 232)]
    sums = np.sort(calm if calm.size * 10 >= roughness.size else roughness)
    one = np.float32
    typical = one(sums[sums.size // 5]) / one(64)
    return min(one(63), typical / (one(6) * one(0.797885) * one(0.859)))


def noise_code(level):
    """NoiseLevel.code: half a level a step, 128 = none."""
    return int(128 + np.floor(max(0.0, min(63.0, float(level))) * 2 + 0.5))


def smoothed(luma):
    """The binomial filter of 5 x 5 taps, edges repeated."""
    x = np.pad(luma, 2, mode="edge").astype(np.uint16)
    x = x[:, :-4] + x[:, 4:] + 4 * (x[:, 1:-3] + x[:, 3:-1]) + 6 * x[:, 2:-2]
    # Sums reach 255 * 256, and 128 more: they fit 16 bits.
    x = x[:-4] + x[4:] + 4 * (x[1:-3] + x[3:-1]) + 6 * x[2:-2]
    return np.ascontiguousarray(((x + 128) >> 8).astype(np.uint8))


def quantizer_code(maps):
    """The code of the mean quantizer of a window, by the maps of its frames."""
    known = [map_.ravel() for map_ in maps if map_ is not None]
    if not known:
        return np.uint8(UNKNOWN)
    values = np.concatenate(known)
    return np.uint8(129 + min(126, int(values.sum(dtype=np.int64)) // len(values)))


def codes(frames, architecture, instant=128, noise=None):
    """One uint8 array [H, W, channels] a slot.

    - noise: the level that a network with that input receives; None estimates it.
    - instant: for interpolation, of 256.
    """
    if architecture.task == "interp":
        return _interpolation(frames, instant)
    middle = architecture.middle
    height, width = (extent // 2 for extent in frames[0].planes[0].shape)
    slots = [np.empty((height, width, architecture.slot_channels(slot)), np.uint8) for slot in range(len(frames))]
    levels = [noise_level(frame.planes[0]) for frame in frames] if architecture.takes_noise else [0] * len(frames)
    slots[middle][:, :, :6] = packed(frames[middle])
    if architecture.takes_noise:
        level = sorted(levels)[middle] if noise is None else noise
        slots[middle][:, :, 6] = noise_code(level)
    if architecture.alignment == "block" and len(frames) > 1:
        planes, search = [], []
        for frame, level in zip(frames, levels):
            planes.append(kernels.motion_plane(frame.planes[0]))
            noisy = architecture.takes_noise and (level if noise is None else noise) > 2
            search.append(kernels.motion_plane(smoothed(frame.planes[0])) if noisy else planes[-1])
        for side in (-1, 1):
            prior = None
            for distance in range(1, middle + 1):
                slot = middle + side * distance
                vectors = kernels.motion(search[middle], search[slot], prior, distance)
                prior = vectors if distance == 1 else prior
                kernels.write_neighbour(planes[middle], planes[slot], frames[slot].planes[1:], vectors, slots[slot])
    else:
        for slot, frame in enumerate(frames):
            slots[slot][:, :, :6] = packed(frame)
    if architecture.conditioned:
        code = quantizer_code([frame.quantizers for frame in frames])
        for index, slot in enumerate(slots):
            # The lab does not know how sharp sources are, so no detail is known to be missing.
            last = -1
            if architecture.hasSharpness and index == middle:
                slot[:, :, -DETAIL_CHANNELS:] = 128
                last -= DETAIL_CHANNELS
            slot[:, :, last] = code
    return slots


def _interpolation(frames, instant):
    """InterpolationPacker: 16 channels a slot."""
    warped, vectors = kernels.warped(frames[0].planes, frames[1].planes, instant)
    height, width = (extent // 2 for extent in frames[0].planes[0].shape)

    def spread(values):
        codes_ = (128 + np.minimum(127, values)).astype(np.uint8)
        return codes_.repeat(4, 0).repeat(4, 1)[:height, :width]

    sums = [plane[0].astype(np.int32).reshape(height, 2, width, 2).sum((1, 3)) for plane in warped]
    slots = []
    for slot in range(2):
        result = np.empty((height, width, 16), np.uint8)
        result[:, :, :6] = packed(Frame(warped[slot]))
        result[:, :, 6:12] = packed(frames[slot])
        result[:, :, 12] = spread(vectors["error"] // 4)
        result[:, :, 13] = np.clip(128 + ((sums[slot] - sums[1 - slot] + 2) >> 2), 0, 255)
        result[:, :, 14] = min(255, 256 - instant if slot == 0 else instant)
        result[:, :, 15] = spread(vectors["disorder"] // 2)
        slots.append(result)
    return slots


def record(frames, truth, architecture, instant=128, noise=None, margin=0):
    """A window as one line of bytes: the codes of the slots, then the packed ground truth (see twin.unpack).

    - margin: pixels at each side that serve the search of motion only and are cut off.
    """
    inner = slice(margin // 2, -(margin // 2) or None)
    parts = codes(frames, architecture, instant, noise) + [packed(truth, architecture.scale)]
    return np.concatenate([part[inner, inner].ravel() for part in parts])
