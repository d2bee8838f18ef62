# SPDX-License-Identifier: Apache-2.0
"""Tests of the lab against the program: `VIDENHANCE=path/to/videnhance pytest test_lab.py`.

Codes are read out of the program itself: a network made here passes some channels of its input on to its output, which
is added to frames of low contrast, so that the frames that come back hold the codes to the bit.
"""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import kernels
import model_file
import twin
import windows
from model_file import Architecture
from windows import Frame

av = pytest.importorskip("av")
ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "Sources" / "EnhancementModel" / "Resources"
PROGRAM = os.environ.get("VIDENHANCE") or str(ROOT / ".build-test" / "release" / "videnhance")
needs_program = pytest.mark.skipif(not Path(PROGRAM).exists(), reason="set VIDENHANCE to the program")


def pictures(count, width, height, contrast, noise, seed=1):
    """Frames of smooth shapes in motion, one part moving by fractions of a pixel."""
    rng = np.random.default_rng(seed)
    waves = rng.uniform(0.02, 0.35, (24, 2)) * rng.choice([-1, 1], (24, 2))
    phases, speeds = rng.uniform(0, 6.28, 24), rng.uniform(-2.2, 2.2, (2, 2))
    frames = []
    for t in range(count):
        planes = []
        for side, (h, w) in [(1, (height, width)), (2, (height // 2, width // 2)), (2, (height // 2, width // 2))]:
            y, x = np.mgrid[:h, :w] * side
            dx, dy = np.where(x < width // 2, speeds[0, 0], speeds[1, 0]), np.where(x < width // 2, speeds[0, 1], speeds[1, 1])
            sum_ = sum(np.sin(a * (x - dx * t) + b * (y - dy * t) + p) for (a, b), p in zip(waves, phases))
            value = 128 + contrast * sum_ / 5 + rng.normal(0, 1, (h, w)) * noise
            planes.append(np.ascontiguousarray(np.clip(np.rint(value), 72, 184).astype(np.uint8)))
        frames.append(Frame(planes))
    return frames


def write_clip(path, frames, codec="ffv1", options=None):
    height, width = frames[0].planes[0].shape
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            packed = np.concatenate([plane.ravel() for plane in frame.planes]).reshape(-1, width)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(packed, format="yuv420p")))
        file.mux(stream.encode(None))


def read_clip(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        stream.codec_context.options = {"export_side_data": "venc_params"}
        result = []
        for frame in file.decode(stream):
            data = frame.to_ndarray(format="yuv420p").ravel()
            result.append(Frame.of(data, frame.width, frame.height))
        return result


def enhance(source, result, model, task, *more):
    subprocess.run([PROGRAM, "enhance", str(source), str(result), "--task", task, "--model-file", str(model), "--bits",
                    "32", "--codec", "ffv1", "--threads", "1", "--no-scene-cut", "--quiet", "--overwrite", *more],
                   check=True)
    return read_clip(result)


def whole(values, centre, architecture):
    """Planes that the program shows of a residual [1, C, H, W] in units over the resampled centre."""
    s = architecture.scale
    sums = twin.base(torch.from_numpy(windows.packed(centre)).permute(2, 0, 1)[None], s) + values
    shown = ((sums + 32) >> 6).clamp(0, 255)
    luma = torch.pixel_shuffle(shown[:, :4 * s * s], 2 * s)[0, 0]
    u, v = (torch.pixel_shuffle(shown[:, at:at + s * s], s)[0, 0] for at in (4 * s * s, 5 * s * s))
    return [plane.numpy().astype(np.uint8) for plane in (luma, u, v)]


def probe(architecture, picks):
    """Weights by which output channel i is code `picks[i]` = (slot, channel) less 128, in whole levels."""
    layers = {name: (np.zeros((outputs, inputs, 3, 3), np.float32), np.zeros(outputs, np.float32))
              for name, inputs, outputs in architecture.layers()}
    for name in ("encoder", "neighbour"):
        weights, biases = layers[name]
        for i in range(weights.shape[1]):
            weights[i, i, 1, 1] = 1
        # Above zero, so that the rectifier lets all through.
        biases[:weights.shape[1]] = 1
    for i, (slot, channel) in enumerate(picks):
        layers["fusion"][0][i, slot * architecture.encoderChannels + channel, 1, 1] = 1
        layers["tail"][0][i, i, 1, 1], layers["tail"][1][i] = 1, -1
    return layers


@needs_program
@pytest.mark.parametrize("noise, codec", [(0, "ffv1"), (6, "ffv1"), (1, "libx264")])
def test_codes_are_the_programs(tmp_path, noise, codec):
    architecture = Architecture("sr", 2, 5, "block", 40, 64, 0, isConditioned=True)
    width, height = 88, 72
    frames = pictures(5, width, height, 26, noise)
    source = tmp_path / "source.mkv"
    write_clip(source, frames, codec, {"crf": "12"} if codec == "libx264" else None)
    if codec != "ffv1":
        import degrade
        frames = degrade.decoded(str(source))
        assert frames[2].quantizers is not None and frames[2].quantizers.shape == (5, 6)
    mine = windows.codes(frames, architecture)
    places = [(slot, channel) for slot in range(5) for channel in range(mine[slot].shape[2])]
    size = architecture.residual_channels
    moved = 0
    for begin in range(0, len(places), size):
        picks = places[begin:begin + size]
        model = tmp_path / "probe.safetensors"
        model_file.write_network(model, architecture, probe(architecture, picks), "{}")
        shown = enhance(source, tmp_path / "out.mkv", model, "sr")[2]
        wanted = np.full((height // 2, width // 2, size), 128, np.uint8)
        for i, (slot, channel) in enumerate(picks):
            wanted[:, :, i] = mine[slot][:, :, channel]
            moved += int((wanted[:, :, i] != 128).sum())
        units = (torch.from_numpy(wanted.astype(np.int32)) - 128).permute(2, 0, 1)[None] * 64
        for plane, (a, b) in enumerate(zip(whole(units, frames[2], architecture), shown.planes)):
            assert np.array_equal(a, b), f"plane {plane} of channels {picks}: {(a != b).sum()} samples differ"
    assert moved > 10000
