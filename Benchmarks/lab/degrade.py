# SPDX-License-Identifier: Apache-2.0
"""Clips degraded like real footage, with PyAV: chains of Sources/Training/DegradationChain.swift, drawn and run here.

Chains are of the same distribution; samples differ from those that the program makes (other libraries, other draws).
"""
import math
from fractions import Fraction

import av
import numpy as np

from windows import SIDE, Frame

DECODERS = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9"}


def picture(frame, index=0):
    """A video frame of planes."""
    height, width = frame.planes[0].shape
    packed = np.concatenate([plane.ravel() for plane in frame.planes]).reshape(-1, width)
    result = av.VideoFrame.from_ndarray(packed, format="yuv420p")
    result.pts = index
    return result


def planes(video):
    """A frame of planes of a 4:2:0 video frame."""
    if video.format.name != "yuv420p":
        video = video.reformat(format="yuv420p")
    return Frame.of(video.to_ndarray().ravel(), video.width, video.height)


def _value(step):
    """BlockQuantizers.value."""
    return int(max(0, min(126, math.floor(12 * math.log2(max(step, 1e-3) / 0.625) + 0.5))))


def _step(kind, index):
    """Levels of an orthonormal transform, of a quantizer by its type (AVVideoEncParamsType)."""
    if kind == 1:  # H.264, 8 bits
        return 0.625 * 2 ** (index / 6)
    if kind == 2:  # MPEG-1, -2, -4
        return float(index)
    index = max(0, min(255, index))  # VP9
    return (7 + index if index <= 95 else 102 * math.exp((index - 95) * 0.01804)) / 8


def quantizers(video):
    """[rows, columns] of twice the quantizer on H.264's scale; None where the decoder does not export it."""
    data = next((bytes(entry) for entry in video.side_data if entry.type.name == "VIDEO_ENC_PARAMS"), None)
    if data is None or len(data) < 56:
        return None
    # AVVideoEncParams: unsigned nb_blocks; size_t blocks_offset, block_size; enum type; int32 qp, delta_qp[4][2].
    count = int.from_bytes(data[0:4], "little")
    offset, size = (int.from_bytes(data[at:at + 8], "little") for at in (8, 16))
    kind, base = np.frombuffer(data, np.int32, 2, 24)
    if kind not in (0, 1, 2):
        return None
    kind = {0: 3, 1: 1, 2: 2}[int(kind)]
    rows, columns = (video.height + SIDE - 1) // SIDE, (video.width + SIDE - 1) // SIDE
    result = np.full((rows, columns), _value(_step(kind, int(base))), np.uint8)
    known = {}
    for block in range(count):
        x, y, w, h, delta = (int(v) for v in np.frombuffer(data, np.int32, 5, offset + block * size))
        if x < 0 or y < 0 or w <= 0 or h <= 0:
            continue
        index = int(base) + delta
        if index not in known:
            known[index] = _value(_step(kind, index))
        result[y // SIDE:(y + h + SIDE - 1) // SIDE, x // SIDE:(x + w + SIDE - 1) // SIDE] = known[index]
    return result


def decoded(source):
    """All frames of a file (path or file object), with their quantizers."""
    with av.open(source) as file:
        stream = file.streams.video[0]
        stream.codec_context.options = {"export_side_data": "venc_params"}
        stream.codec_context.thread_count = 1
        return [planes(video)._replace(quantizers=quantizers(video)) for video in file.decode(stream)]


# MARK: - Chains


def shrunk(frames, factor, kernel="BICUBIC"):
    """Frames of 1 / factor of the extents, by swscale."""
    if factor == 1:
        return frames
    result = []
    for frame in frames:
        height, width = frame.planes[0].shape
        video = picture(frame).reformat(width // factor, height // factor, interpolation=kernel)
        result.append(planes(video))
    return result


def shrunk_by_plane(frames, factor):
    """Frames shrunk bicubically, each plane by itself, as windows of clean footage are (Degradation.shrink)."""
    def shrink(plane):
        height, width = plane.shape
        video = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
        return video.reformat(width // factor, height // factor, interpolation="BICUBIC").to_ndarray()

    return frames if factor == 1 else [Frame([shrink(plane) for plane in frame.planes]) for frame in frames]


def round_trip(frames, codec, options):
    """Frames after encoding and decoding, with the quantizers of their blocks."""
    height, width = frames[0].planes[0].shape
    quiet = {"libx265": {"x265-params": "log-level=none"}}.get(codec, {})
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.thread_count = 1
    encoder.options = options | quiet
    decoder, packets, result = None, [], []
    for index, frame in enumerate(frames):
        packets += encoder.encode(picture(frame, index))
    packets += encoder.encode(None)
    decoder = av.CodecContext.create(DECODERS.get(codec, codec), "r")
    decoder.thread_count = 1
    decoder.options = {"export_side_data": "venc_params"}
    if encoder.extradata:
        decoder.extradata = encoder.extradata
    for packet in packets + [None]:
        for video in decoder.decode(packet):
            result.append(planes(video)._replace(quantizers=quantizers(video)))
    if len(result) != len(frames):
        raise RuntimeError(f"{codec}: {len(result)} frames of {len(frames)}")
    return result


def filtered(frames, description):
    """Frames after filters of libavfilter as `-vf` takes them."""
    height, width = frames[0].planes[0].shape
    graph = av.filter.Graph()
    nodes = [graph.add_buffer(width=width, height=height, format="yuv420p", time_base="1/25")]
    for part in description.split(","):
        name, _, arguments = part.partition("=")
        nodes.append(graph.add(name, arguments))
    nodes.append(graph.add("buffersink"))
    graph.link_nodes(*nodes).configure()
    result = []

    def drain():
        while True:
            try:
                result.append(planes(graph.pull()))
            except (av.BlockingIOError, av.EOFError):
                return

    for index, frame in enumerate(frames):
        graph.push(picture(frame, index))
        drain()
    graph.push(None)
    drain()
    if len(result) != len(frames):
        raise RuntimeError(f"{description}: {len(result)} frames of {len(frames)}")
    return result


def grain(frames, deviation, chroma, size, rng):
    """Gaussian noise, white or (size > 0) correlated from sample to sample."""
    result = []
    for frame in frames:
        noisy = []
        for index, plane in enumerate(frame.planes):
            field = rng.standard_normal(plane.shape, np.float32)
            if size > 0:
                near, far = math.exp(-1 / (2 * size * size)), math.exp(-4 / (2 * size * size))
                norm = 1 / math.sqrt(1 + 2 * near * near + 2 * far * far)
                for axis in (0, 1):
                    p = np.moveaxis(np.pad(field, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge"), axis, 0)
                    n = field.shape[axis]
                    line = p[2:n + 2] + near * (p[1:n + 1] + p[3:n + 3]) + far * (p[:n] + p[4:n + 4])
                    field = np.moveaxis(norm * line, 0, axis)
            value = plane + field * np.float32(deviation * (1 if index == 0 else chroma))
            noisy.append(np.clip(np.floor(value + 0.5), 0, 255).astype(np.uint8))
        result.append(Frame(noisy))
    return result


def run(chain, frames, factor, rng):
    """Shrinks a clip and does all steps of a chain (as in `.degraded.json`) to it."""
    frames = shrunk(frames, factor, chain["kernel"].upper())
    for step in chain["steps"]:
        (kind, detail), = step.items()
        if kind == "filter":
            frames = filtered(frames, detail["_0"])
        elif kind == "grain":
            frames = grain(frames, rng=rng, **detail)
        else:
            frames = round_trip(frames, detail["_0"], detail["options"])
    return frames


def draw(width, height, rng):
    """A random chain; the odds are those of DegradationChain.random, without soft ground truth."""
    def chance(probability):
        return rng.random() < probability

    def pick(*values):
        return values[rng.integers(len(values))]

    def x264(crf):
        return {"codec": {"_0": "libx264", "options": {"crf": str(crf)}}}

    def blur(low, high):
        across, other = (low + (high - low) * rng.random() ** 2 for _ in range(2))
        down = across if chance(0.6) else other
        return {"filter": {"_0": f"gblur=sigma={across:.4f}:sigmaV={down:.4f}:steps=2"}}

    def noise(low, high):
        level = low + (high - low) * rng.random() ** 2
        return {"grain": {"deviation": level, "chroma": rng.uniform(0.3, 1),
                          "size": 0 if chance(0.5) else rng.uniform(0.4, 1)}}

    def resized(factor, down, up):
        w, h = (max(16, int(extent * factor) & ~1) for extent in (width, height))
        return {"filter": {"_0": f"scale={w}:{h}:flags={down},scale={width}:{height}:flags={up}"}}

    def ringing():
        if chance(0.6):
            side = pick(3, 5, 7)
            return {"filter": {"_0": f"unsharp={side}:{side}:{rng.uniform(0.4, 1.6):.3f}:3:3:0"}}
        return resized(rng.uniform(0.6, 0.95), "sinc", "sinc")

    def codec(name):
        def rate(low, high):
            return str(max(20000, int(rng.uniform(low, high) * width * height * 25)))

        def held(quantizer):
            return {"qmin": str(quantizer), "qmax": str(quantizer)}

        group = pick("12", "25", "50", "250")
        if name == "libx264":
            options = {"preset": pick("veryfast", "fast", "medium", "medium"), "g": group}
            options |= {"b": rate(0.02, 0.15)} if chance(0.25) else {"crf": str(18 + rng.integers(21))}
        elif name == "libx265":
            options = {"preset": "superfast", "g": group, "crf": str(18 + rng.integers(19))}
        elif name == "libvpx-vp9":
            options = {"deadline": "good", "cpu-used": "5", "g": group, "b": "0", "crf": str(24 + rng.integers(28))}
        elif name == "mjpeg":
            options = {"strict": "-1"} | held(2 + rng.integers(14))
        elif name == "mpeg2video":
            options = {"g": "15" if chance(0.7) else "12", "bf": pick("0", "2", "2")}
            options |= {"b": rate(0.1, 0.4)} if chance(0.25) else held(2 + rng.integers(13))
        else:
            options = {"g": group, "bf": pick("0", "0", "1", "2")}
            options |= {"b": rate(0.05, 0.25)} if chance(0.25) else held(2 + rng.integers(11))
        return {"codec": {"_0": name, "options": options}}

    def generation():
        filters = [make() for odds, make in [(0.4, lambda: blur(0.2, 2)), (0.35, lambda: resized(
            rng.uniform(0.45, 0.9), pick("bicubic", "bilinear", "lanczos", "area"),
            pick("bicubic", "bilinear", "lanczos"))), (0.25, ringing), (0.4, lambda: noise(0.5, 15))] if chance(odds)]
        order = [filters[i] for i in rng.permutation(len(filters))]
        return order + [codec(pick("libx264", "libx264", "libx264", "libx264", "libx265", "mpeg4", "mpeg2video",
                                   "libvpx-vp9", "mjpeg"))]

    kernel, kind = pick("bicubic", "bicubic", "bicubic", "area", "area", "lanczos"), rng.random()
    if kind < 0.27:
        steps = [codec("libx264")]
    elif kind < 0.41:
        steps = [blur(0.3, 1.8), noise(0.5, 8), x264(20 + rng.integers(13))]
    elif kind < 0.57:
        steps = [codec("mpeg2video")]
    elif kind < 0.69:
        steps = [codec("mpeg4"), blur(0.2, 0.9), x264(20 + rng.integers(13))]
    elif kind < 0.77:
        steps = [noise(1, 20)] + ([] if chance(0.5) else [x264(16 + rng.integers(9))])
    else:
        steps = [step for _ in range(pick(1, 2, 2, 3)) for step in generation()]
    return {"kernel": kernel, "steps": steps}
