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
import average
import kernels
import model_file
import to_four
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


def write_10_bit(path, frames):
    """The frames at four times their samples, ten bits: the program's networks see the same codes, and results come
    back four times as fine."""
    height, width = frames[0].planes[0].shape
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        for frame in frames:
            video = av.VideoFrame(width, height, "yuv420p10le")
            for plane, samples in zip(video.planes, frame.planes):
                rows = np.zeros((samples.shape[0], plane.line_size // 2), np.uint16)
                rows[:, :samples.shape[1]] = samples.astype(np.uint16) * 4
                plane.update(rows.tobytes())
            file.mux(stream.encode(video))
        file.mux(stream.encode(None))


def read_10_bit(path):
    result = []
    with av.open(str(path)) as file:
        for video in file.decode(video=0):
            assert video.format.name == "yuv420p10le"
            result.append([np.frombuffer(bytes(p), np.uint16).reshape(p.height, -1)[:, :p.width] for p in video.planes])
    return result


def predicted(path, frames):
    """(architecture, slots' codes, the twin's output) of a window of frames."""
    network, _ = twin.load(path)
    codes = [torch.from_numpy(slot).permute(2, 0, 1)[None] for slot in windows.codes(frames, network.architecture)]
    with torch.no_grad():
        return network.architecture, codes, network([twin.floats(slot) for slot in codes])


def unpacked(values, s):
    """Planes of a residual."""
    return [torch.pixel_shuffle(values[:, :4 * s * s], 2 * s)[0, 0].numpy()] + [
        torch.pixel_shuffle(values[:, at:at + s * s], s)[0, 0].numpy() for at in (4 * s * s, 5 * s * s)]


@needs_program
@pytest.mark.parametrize("model, noise", [("sr-x2-balanced", 0), ("sr-x4-balanced", 1), ("denoise-balanced", 9)])
def test_network_equals_the_float_executor(tmp_path, model, noise):
    """Planes of ten bits hold the executor's results to half a 1023rd: to within 1e-3 of the full range."""
    compare_with_the_executor(tmp_path, RESOURCES / f"{model}.safetensors", model.split("-")[0], noise)


@needs_program
@pytest.mark.parametrize("window, heads", [(5, None), (3, 6)])
def test_attention_equals_the_float_executor(tmp_path, window, heads):
    architecture = Architecture("sr", 2, window, "block", 16, 32, 1, fusion="attention", heads=heads)
    network = twin.Twin(architecture)
    network.initialize(3)
    layers = network.numbers()
    # Loud enough that weights differ from slot to slot and that the neighbours matter.
    for name, factor in [("fusion.query", 8), ("fusion.key", 8), ("fusion.projection", 10), ("tail", 3)]:
        layers[name] = tuple(part * np.float32(factor) for part in layers[name])
    path = tmp_path / "attention.safetensors"
    model_file.write_network(path, architecture, layers, "{}")
    compare_with_the_executor(tmp_path, path, "sr", 1)


def compare_with_the_executor(tmp_path, path, task, noise):
    frames = pictures(twin.load(path)[0].architecture.window, 96, 72, 22, noise)
    a, codes, output = predicted(path, frames)
    write_10_bit(tmp_path / "source.mkv", frames)
    # The program would estimate the level from the whole window, the lab does from the middle frame.
    given = []
    if task == "denoise":
        given = ["--noise", str((codes[a.middle][0, 6, 0, 0].item() - 128) / 2)]
    subprocess.run([PROGRAM, "enhance", str(tmp_path / "source.mkv"), str(tmp_path / "out.mkv"), "--task", task,
                    "--model-file", str(path), "--bits", "32", "--codec", "ffv1", "--threads", "1",
                    "--no-scene-cut", "--quiet", *given], check=True)
    shown = read_10_bit(tmp_path / "out.mkv")[a.middle]
    # The source is resampled at ten bits; a level of eight bits in residuals is four of ten.
    values = twin.base(codes[a.middle][:, :6].int() * 4, a.scale) / 64 + output * 1020
    plain = unpacked(twin.base(codes[a.middle][:, :6].int() * 4, a.scale) / 64, a.scale)
    moved = 0
    for mine, theirs, without in zip(unpacked(values.clamp(0, 1023), a.scale), shown, plain):
        # Rounding: half a level, and half a 64th of a level of eight bits in the residual.
        assert np.abs(mine - theirs.astype(np.float32)).max() <= 0.5 + 2 / 64 + 0.02
        moved += int((np.abs(without - mine) > 1).sum())
    assert moved > 300, "the network does nothing"


@needs_program
def test_interpolation_equals_the_float_executor(tmp_path):
    path = RESOURCES / "interp-balanced.safetensors"
    frames = pictures(2, 96, 72, 22, 0)
    a, codes, output = predicted(path, frames)
    write_clip(tmp_path / "source.mkv", frames)
    shown = enhance(tmp_path / "source.mkv", tmp_path / "out.mkv", path, "interp")[1]
    # The error against a black truth is the picture itself.
    wanted = twin.target(codes, torch.zeros(1, 6, 36, 48, dtype=torch.uint8), a)
    values = (twin.error(output, wanted, a) * 255).clamp(0, 255)
    for mine, theirs in zip(unpacked(values, 1), shown.planes):
        assert np.abs(mine - theirs.astype(np.float32)).max() <= 0.5 + 2 / 64 + 0.02
    assert any((a != b).sum() > 500 for a, b in zip(frames[0].planes, shown.planes))


@pytest.mark.parametrize("name", ["sr-x2-balanced", "sr-x4-balanced", "denoise-balanced", "interp-balanced"])
def test_shipped_files_are_read_and_written_alike(tmp_path, name):
    path = RESOURCES / f"{name}.safetensors"
    tensors, metadata = model_file.read(path)
    assert model_file.serialized(tensors, metadata) == path.read_bytes()
    architecture, layers, recipe = model_file.read_network(path)
    network, _ = twin.load(path)
    model_file.write_network(tmp_path / "again.safetensors", architecture, network.numbers(), recipe)
    again, layers_again, recipe_again = model_file.read_network(tmp_path / "again.safetensors")
    assert (again, recipe_again) == (architecture, recipe)
    for layer, pair in layers.items():
        assert all(np.array_equal(a, b) for a, b in zip(pair, layers_again[layer]))


@needs_program
def test_the_program_reads_what_the_lab_writes(tmp_path):
    architecture = Architecture("restore", 1, 5, "block", 24, 96, 2, isConditioned=True)
    network = twin.Twin(architecture)
    network.initialize(3)
    model_file.write_network(tmp_path / "new.safetensors", architecture, network.numbers(), '{"tool":"test"}')
    text = subprocess.run([PROGRAM, "inspect", str(tmp_path / "new.safetensors")], check=True, capture_output=True,
                          text=True).stdout
    assert f"{architecture.cost:.1f}" in text, text


@pytest.mark.skipif(not kernels.shutil.which("gcc"), reason="no gcc")
def test_every_compiler_and_instruction_set_gives_the_same(tmp_path):
    frames = pictures(2, 96, 64, 26, 3)
    vectors = []
    for compiler in filter(kernels.shutil.which, ("clang", "gcc")):
        kernels.build(tmp_path / f"{compiler}.so", compiler)
        os.environ["VIDENHANCE_LAB_KERNELS"] = str(tmp_path / f"{compiler}.so")
        kernels.library.cache_clear()
        try:
            for isa in (0, kernels.FAST):
                a, b = (kernels.motion_plane(frame.planes[0]) for frame in frames)
                found = kernels.motion(a, b, isa=isa)
                packed = np.empty((32, 48, 38), np.uint8)
                kernels.write_neighbour(a, b, frames[1].planes[1:], found, packed, isa)
                warped, more = kernels.warped(frames[0].planes, frames[1].planes, 100, isa)
                vectors.append((found, packed, *warped[0], *warped[1], more))
        finally:
            del os.environ["VIDENHANCE_LAB_KERNELS"]
            kernels.library.cache_clear()
    assert len(vectors) >= 2
    for other in vectors[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(vectors[0], other))
    assert len(np.unique(vectors[0][0])) > 3


def test_attention_starts_as_the_centre_of_a_convolution():
    old = twin.Twin(Architecture("sr", 2, 5, "block", 16, 32, 2))
    old.initialize(1)
    new = twin.Twin(Architecture("sr", 2, 5, "block", 16, 32, 2, fusion="attention"))
    new.initialize(2)
    fresh = new.numbers()
    new.warm_start(old.architecture, old.numbers())
    fusion, mine = old.numbers()["fusion"], new.numbers()
    assert np.array_equal(mine["fusion.centre"][0], fusion[0].reshape(32, 5, 16, 3, 3)[:, 2])
    assert np.array_equal(mine["fusion.centre"][1], fusion[1])
    assert np.array_equal(mine["fusion.key"][0], fresh["fusion.key"][0])
    assert np.array_equal(mine["body.1.b"][0], old.numbers()["body.1.b"][0])


def test_attention_is_its_definition():
    """Against sums written out in NumPy, as Sources/CQuantKernels/include/VEAttention.h defines them."""
    rng = np.random.default_rng(4)
    query, *rest = rng.normal(size=(7, 2, 16, 3, 4))
    keys, values = rest[:3], rest[3:]
    result = twin.attention(*(torch.from_numpy(query), [torch.from_numpy(k) for k in keys],
                              [torch.from_numpy(v) for v in values])).numpy()
    for n, head, y, x in np.ndindex(2, 2, 3, 4):
        part = n, slice(8 * head, 8 * head + 8), y, x
        weights = np.exp([query[part] @ key[part] / 8**0.5 for key in keys])
        wanted = sum(w * v[part] for w, v in zip(weights / weights.sum(), values))
        assert np.allclose(result[part], wanted)


def test_warm_start_keeps_what_agrees():
    small = twin.Twin(Architecture("sr", 2, 1, "block", 16, 32, 2))
    small.initialize(1)
    large = twin.Twin(Architecture("sr", 2, 5, "block", 16, 32, 4, isConditioned=True))
    large.initialize(2)
    fresh = large.numbers()
    large.warm_start(small.architecture, small.numbers())
    old, new = small.numbers(), large.numbers()
    assert np.array_equal(new["encoder"][0][:, :6], old["encoder"][0])
    assert np.allclose(new["encoder"][0][:, 6:], 0.3 * fresh["encoder"][0][:, 6:])
    fusion = new["fusion"][0].reshape(32, 5, 16, 3, 3)
    assert np.array_equal(fusion[:, 2], old["fusion"][0])
    assert np.allclose(fusion[:, 0], 0.02 * fresh["fusion"][0].reshape(32, 5, 16, 3, 3)[:, 0])
    assert np.array_equal(new["body.1.b"][0], old["body.1.b"][0])
    assert np.array_equal(new["body.3.b"][0], fresh["body.3.b"][0])


def test_records_come_apart_again():
    architecture = Architecture.balanced("sr")
    frames, truth = pictures(5, 64, 64, 20, 1), pictures(1, 128, 128, 20, 0)[0]
    record = windows.record(frames, truth, architecture)
    assert record.size == twin.record_bytes(architecture, 32, 32)
    slots, wanted = twin.unpack(torch.from_numpy(record)[None], architecture, 32, 32)
    assert np.array_equal(slots[1][0].permute(1, 2, 0).numpy(), windows.codes(frames, architecture)[1])
    assert np.array_equal(torch.pixel_shuffle(wanted[:, :16], 4)[0, 0].numpy(), truth.planes[0])
    # A perfect residual over the enlargement is the truth again.
    base = twin.base(slots[2][:, :6], 2)
    assert torch.equal(base.float() / twin.UNITS + twin.target(slots, wanted, architecture),
                       base.float() / twin.UNITS + (wanted.int() * 64 - base).float() / twin.UNITS)
    assert (twin.target(slots, wanted, architecture) * twin.UNITS + base - wanted.int() * 64).abs().max() < 0.02


def test_contrast_is_that_of_the_pictures_squares():
    a = Architecture.balanced("sr")
    random = np.random.default_rng(5)
    base = random.integers(0, 64 * 255, (2, 24, 4, 5))
    output, wanted = (random.uniform(-0.2, 0.2, (2, 24, 4, 5)).astype(np.float32) for _ in range(2))
    expected = 0
    for image in range(2):
        width = max(1e-3, 4 * np.sqrt((wanted[image, :16] ** 2).mean())) if a.conditioned else 1e-3
        for y in range(3):
            for x in range(4):
                have, want = ((base[image, :16, y:y + 2, x:x + 2] / 16320 + one[image, :16, y:y + 2, x:x + 2]).std()
                              for one in (output, wanted))
                expected += (have - want) ** 2 / width / (2 * 2 * 4 * 5)
    value = twin.contrast(torch.from_numpy(output), torch.from_numpy(wanted), torch.from_numpy(base), a)
    assert abs(float(value) - expected) < 1e-4 * expected


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 24, 9), (1, 5, 5)])
def test_orthogonalized_matrices_keep_singular_vectors(shape):
    import muon
    matrices = torch.from_numpy(np.random.default_rng(3).normal(size=shape).astype(np.float32))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = u.mT @ muon.orthogonalized(matrices) @ v.mT
    diagonal = torch.diagonal(found, dim1=1, dim2=2)
    assert diagonal.min() > 0.5 and diagonal.max() < 1.3
    assert (found - torch.diag_embed(diagonal)).abs().max() < 1e-3


@pytest.mark.parametrize("fusion, contrast, optimizer", [
    ("convolution", "0", "muon"), ("convolution", "1.5", "adam"), ("attention", "0", "muon")])
def test_a_run_learns_and_goes_on_from_its_checkpoint(tmp_path, monkeypatch, fusion, contrast, optimizer):
    import train
    monkeypatch.setattr(sys, "argv", [
        "train.py", "--cache", "", "--output", str(tmp_path / "w.safetensors"), "--checkpoint",
        str(tmp_path / "c.checkpoint"), "--blocks", "1", "--channels", "16", "--crop", "64", "--device", "cpu",
        "--precision", "f32", "--warm-up", "1", "--learning-rate", "3e-3", "--fusion", fusion,
        "--contrast-weight", contrast, "--optimizer", optimizer])
    run = train.Run(train.arguments())
    a, side = run.architecture, 32
    records = torch.from_numpy(np.stack([windows.record(
        pictures(5, side, side, 20, 1, seed), pictures(1, 64, 64, 20, 0, seed)[0], a) for seed in range(4)]))
    codes, truth = twin.unpack(records, a, run.side, run.side)
    slots, wanted = [twin.floats(slot) for slot in codes], twin.target(codes, truth, a)
    # The losses of conditioned networks hardly change: they are mostly the width of their smooth bottom.
    before = float((run.network(slots) - wanted).square().mean().detach())
    for _ in range(40):
        run.advance(records, 0)
    assert float((run.network(slots) - wanted).square().mean().detach()) < 0.9 * before
    run.save()
    again = train.Run(train.arguments())
    assert again.step == 40
    for run_ in (run, again):
        run_.advance(records, 0.5)
    for one, other in zip(run.network.parameters(), again.network.parameters()):
        assert torch.allclose(one, other, atol=1e-6)
    assert model_file.read_network(tmp_path / "w.safetensors")[0] == a
    assert '"steps":40' in model_file.read_network(tmp_path / "w.safetensors")[2]


CACHE = Path(os.environ.get("VIDENHANCE_DATA") or ROOT / "data")


@pytest.mark.skipif(not (CACHE / ".cache" / "photographs-val-4x24-288x288.yuv").exists(),
                    reason="set VIDENHANCE_DATA to a data folder with its cache")
def test_photographs_move_as_the_trainers(tmp_path):
    import films
    import motion
    film = films.Film(CACHE / ".cache", "photographs-val-4x24-288x288")
    frames = motion.window(films.photographs(CACHE / "val"), 24, 288, motion.SplitMix64(77))
    for index in (0, 12, 23):
        for mine, theirs in zip(frames[index].planes, film.frame(index).planes):
            difference = np.abs(mine.astype(int) - theirs)
            assert difference.max() <= 2 and difference.mean() < 0.2


def test_average_lies_between_a_network_and_the_one_trained_from_it():
    plain, layers, recipe = model_file.read_network(RESOURCES / "sr-x2-balanced.safetensors")
    conditioned, trained = average.with_conditions(plain, layers)
    trained = {name: (weights + np.float32(0.5), biases) for name, (weights, biases) in trained.items()}
    architecture, mixed, text = average.average(
        [(plain, layers, recipe), (conditioned, trained, recipe)], [3, 1])
    assert architecture == conditioned and '"share":0.75' in text
    for name, (weights, biases) in mixed.items():
        old = layers[name][0]
        known = weights[:, : old.shape[1]]
        assert np.allclose(known, old + 0.125, atol=1e-6) and np.array_equal(biases, layers[name][1])
        assert np.allclose(weights[:, old.shape[1]:], 0.125)


def test_recipes_of_averages_do_not_repeat_the_start():
    start = {"settings": {"seed": 1}}
    once = average.compact({"average": [{"of": {"settings": {"seed": 2}, "start": start}, "share": 0.5},
                                        {"of": start, "share": 0.5}]})
    assert once["average"][0]["of"] == {"settings": {"seed": 2}, "start": {"part": 2}}
    assert once["average"][1]["of"] == start
    twice = average.compact({"average": [{"of": {"settings": {"seed": 3}, "start": once}, "share": 0.7},
                                         {"of": once, "share": 0.3}]})
    assert twice["average"][0]["of"]["start"] == {"part": 2} and twice["average"][1]["of"] == once
    assert average.compact(twice) == twice


def test_tail_for_x4_interpolates_the_one_for_x2():
    """Constant and linear pictures stay what they are, but for the repeated samples at the ends."""
    flat = to_four.enlarged(np.full((24, 3), 2, np.float32))
    assert flat.shape == (96, 3) and np.allclose(flat, 2)
    across = np.concatenate([np.tile(np.arange(4), 4), np.tile(np.arange(2), 4)]).astype(np.float32)
    luma, chroma = np.split(to_four.enlarged(across[:, None])[:, 0], [64])
    assert np.allclose(luma.reshape(8, 8), [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    assert np.allclose(chroma.reshape(2, 4, 4), [0, 0.25, 0.75, 1])
