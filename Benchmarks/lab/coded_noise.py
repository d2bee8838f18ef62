#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures `--task denoise` on noise behind codecs: luma PSNR of 25 frames at 640x360 against the clip without noise, of
the decoded frames, of `--noise auto`, and of the best given level.

    python3 Benchmarks/lab/coded_noise.py videnhance data --best

Noise is Gaussian, in all planes, new in each frame; "grain" is noise under a Gaussian blur of 0.6 samples. The noisy clip
is coded by x264, by MPEG-2 or without loss (ffv1). Needs ffmpeg, NumPy and SciPy.
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import tempfile

import numpy
from scipy.ndimage import gaussian_filter

WIDTH, HEIGHT, FRAMES = 640, 360, 25
LEVELS = [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 28]
CLIPS = {
    "bbb": (["-ss", "436"], "train/film/bbb.mp4"),
    "dog": ([], "val/dog.mp4"),
    "birds": ([], "val/birds.mp4"),
    "bikes": ([], "bikes.mp4"),
    "bigbuckbunny": ([], "bigbuckbunny.mp4"),
    "parkour": ([], "parkour.mp4"),
}
CODECS = {
    "none": ["-c:v", "ffv1"],
    "crf18": ["-c:v", "libx264", "-crf", "18", "-threads", "1"],
    "crf23": ["-c:v", "libx264", "-crf", "23", "-threads", "1"],
    "crf28": ["-c:v", "libx264", "-crf", "28", "-threads", "1"],
    "mpeg2": "-c:v mpeg2video -qmin 4 -qmax 4 -q:v 4 -g 15 -bf 2 -threads 1".split(),
}
RAW = ["-f", "rawvideo", "-pix_fmt", "yuv420p"]


def ffmpeg(*arguments, **options):
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True, capture_output=True, **options
    ).stdout


def frames(path, *options, filters="null"):
    """The planes of a file's frames, one after another, as a row for each frame."""
    data = ffmpeg(*options, "-i", path, "-vf", filters, "-frames:v", FRAMES, "-fps_mode", "passthrough", *RAW, "-")
    return numpy.frombuffer(data, numpy.uint8).reshape(-1, WIDTH * HEIGHT * 3 // 2)


def luma(path):
    return frames(path)[:, : WIDTH * HEIGHT].astype(numpy.float32)


def noisy(clean, level, blur, seed=1):
    if not level:
        return clean
    random = numpy.random.default_rng(seed)
    result = clean.copy()
    for frame in result:
        start = 0
        for width, height in [(WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2), (WIDTH // 2, HEIGHT // 2)]:
            noise = level * random.standard_normal((height, width))
            if blur:
                noise = gaussian_filter(noise, blur)
            plane = frame[start : start + width * height]
            plane[:] = numpy.clip(numpy.rint(plane + noise.ravel()), 0, 255)
            start += width * height
    return result


def psnr(a, b):
    return 10 * numpy.log10(255**2 / max(1e-9, numpy.mean(numpy.square(a - b), dtype=numpy.float64)))


class Case:
    """A clip with noise of a kind behind a codec, and what the program makes of it."""

    def __init__(self, options, folder, clip, level, blur, codec, truth):
        self.options, self.folder, self.codec = options, folder, codec
        self.name = f"{clip}-{'grain' if blur else 'white'}{level}-{codec}" if level else f"{clip}-clean-{codec}"
        self.source = folder / f"{self.name}.mkv"
        self.truth = truth[:, : WIDTH * HEIGHT].astype(numpy.float32)
        if not self.source.exists():
            size = ["-s", f"{WIDTH}x{HEIGHT}", "-r", "25"]
            ffmpeg(*RAW, *size, "-i", "-", *CODECS[codec], self.source, input=noisy(truth, level, blur).tobytes())
        self.decoded = psnr(luma(self.source), self.truth)
        self.told = {}

    def result(self, *arguments):
        with tempfile.NamedTemporaryFile(suffix=".mkv") as output:
            command = [self.options.program, self.source, output.name, "--task", "denoise", *arguments]
            command += [*self.options.option.split(), "--codec", "ffv1", "--overwrite", "--quiet", "--threads", "1"]
            subprocess.run([*map(str, command)], check=True)
            return psnr(luma(output.name), self.truth)

    def level(self, index):
        """The gain with a given level, 0 without denoising."""
        if not 0 <= index < len(LEVELS):
            return float("-inf")
        if index not in self.told:
            self.told[index] = self.result("--noise", str(LEVELS[index]))
        return self.told[index]

    def best(self, start):
        """Climbs to the best given level."""
        at = start
        while True:
            better = max([at, at + 1, at - 1], key=self.level)
            if better == at:
                return at
            at = better

    def run(self, guess):
        line = {"case": self.name, "decoded": self.decoded, "auto": self.result()}
        if self.options.best:
            at = self.best(guess)
            line |= {"best": self.told[at], "level": LEVELS[at]}
            line["told"] = {LEVELS[index]: round(value, 3) for index, value in sorted(self.told.items())}
        return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data", type=pathlib.Path, help="the folder that `make data` makes")
    parser.add_argument("--clips", default="bbb,dog,birds")
    parser.add_argument("--codecs", default="none,crf18,crf23,crf28,mpeg2")
    parser.add_argument("--levels", default="0,6,10,16")
    parser.add_argument("--blurs", default="0,0.6")
    parser.add_argument("--best", action="store_true", help="also search for the best given level")
    parser.add_argument("--option", default="", help="more options for the program")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the coded clips, to use them again")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="a line of JSON for each case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or pathlib.Path(temporary)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            jobs = []
            for clip in options.clips.split(","):
                seek, path = CLIPS[clip]
                scale = f"scale={WIDTH}:{HEIGHT}:flags=bicubic,format=yuv420p"
                truth = frames(options.data / path, *seek, filters=scale)
                for level in map(int, options.levels.split(",")):
                    for blur in map(float, options.blurs.split(",") if level else ["0"]):
                        for codec in options.codecs.split(","):
                            guess = 0 if not level else 3 if codec != "none" else 5
                            jobs.append(
                                pool.submit(
                                    lambda *case, guess: Case(options, folder, *case).run(guess),
                                    *(clip, level, blur, codec, truth),
                                    guess=guess,
                                )
                            )
            for job in jobs:
                line = job.result()
                if options.json:
                    print(json.dumps(line), flush=True)
                else:
                    text = f"{line['case']:24} {line['decoded']:6.2f} {line['auto']:6.2f}"
                    print(text + (f" {line['best']:6.2f} {line['level']:3}" if options.best else ""), flush=True)


if __name__ == "__main__":
    main()
