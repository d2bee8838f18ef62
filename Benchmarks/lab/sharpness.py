#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the estimate of a source's sharpness (Sources/EnhancementModel/Sharpness.swift) to training material.

    sharpness.py DATA SAMPLES        prints the constant and the coefficients, and the fit on parts that were left out
    sharpness.py --of VIDEO...       prints the sharpness of videos by the last fit (sharpness.json)

Photographs and film of DATA/train are reduced, then blurred, resampled, sharpened, made noisy and coded at random, once or
twice, from fixed seeds. The target is the response of the filters (not of the codecs) to detail finer than a Gaussian of
one sample. Needs OpenCV and NumPy (Benchmarks/venv.sh), and an ffmpeg with libx264.
"""
import glob
import json
import os
import random
import subprocess
import sys
import tempfile
from multiprocessing import Pool

import cv2
import numpy as np

cv2.setNumThreads(1)
FIT = "sharpness.json"
FRAMES = 6
GAUSSIANS = (0.5, 0.8, 1.2, 1.8, 2.7)
SHARES = (0.1, 0.3)
CODECS = ["x264"] * 5 + ["mpeg2", "mpeg4"]
# Films of the training set, with the seconds to take frames from.
FILMS = [("bbb.mp4", 70, 430)] * 7 + [("freecol.ogv", 0, 30), ("vtest.avi", 0, 50), ("cockatoo.mp4", 0, 10)] + [
    (f"pose2sim-{kind}-cam0{number}.mp4", 0, 4) for kind in ("single", "multi") for number in (1, 2, 3, 4)]


def blur(x, sigma, down=None):
    return cv2.GaussianBlur(x, (0, 0), sigma, sigmaY=down or sigma, borderType=cv2.BORDER_REFLECT)


def gradient(x):
    return np.hypot(cv2.Sobel(x, cv2.CV_32F, 1, 0, ksize=3) / 8, cv2.Sobel(x, cv2.CV_32F, 0, 1, ksize=3) / 8)


def features(frames):
    """The 28 features of `Sharpness.features(of:)`; None if there are fewer than 60 edges."""
    strength, smoothed, bands, samples = [], [[] for _ in GAUSSIANS], np.zeros(len(GAUSSIANS) + 1), 0
    for x in frames:
        across = np.abs(cv2.Sobel(x, cv2.CV_32F, 1, 0, ksize=3)) > np.abs(cv2.Sobel(x, cv2.CV_32F, 0, 1, ksize=3))
        m = gradient(x)
        is_edge = np.where(
            across, (m >= np.roll(m, 1, 1)) & (m > np.roll(m, -1, 1)), (m >= np.roll(m, 1, 0)) & (m > np.roll(m, -1, 0)))
        inner = np.zeros_like(is_edge)
        inner[5:-5, 5:-5] = True
        is_edge &= inner & (m > 5)
        strength.append(m[is_edge])
        before = x
        for index, sigma in enumerate(GAUSSIANS):
            smooth = blur(x, sigma)
            smoothed[index].append(gradient(smooth)[is_edge])
            bands[index] += np.mean((before - smooth) ** 2)
            before = smooth
        bands[-1] += np.var(before)
        samples += m.size
    strength, smoothed = np.concatenate(strength), [np.concatenate(s) for s in smoothed]
    if len(strength) < 60:
        return None
    result = []
    for share in SHARES:
        least = np.quantile(strength, 1 - share)
        strong = strength >= least
        for values in smoothed:
            loss = np.log(strength[strong] / np.maximum(values[strong], 0.2))
            result += [np.mean(loss), np.quantile(loss, 0.85)]
        result.append(np.log(least))
    return [float(v) for v in [*result, *np.diff(np.log(bands + 1e-3)), np.log(len(strength) / samples)]]


def ffmpeg(arguments, data=None):
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", "1", *arguments], input=data, capture_output=True, check=True
    ).stdout


def gray(path, filters, count, start=0.0):
    """Luma of the first frames."""
    text = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", path],
        capture_output=True, check=True, text=True).stdout
    width, height = (int(n) for n in text.strip().strip(",").split(",")[:2])
    if filters:
        width, height = round(width * filters / height / 2) * 2, filters
    scale = f"scale={width}:{height}:flags=bicubic,format=yuv420p,extractplanes=y"
    raw = ffmpeg(["-ss", f"{start:.2f}", "-i", path, "-vf", scale, "-frames:v", str(count), "-f", "rawvideo", "-"])
    return list(np.frombuffer(raw, np.uint8).reshape(-1, height, width).astype(np.float32))


def clean_frames(data, photographs, rng):
    """(origin, frames) of a photograph with a slow pan, or of film."""
    if rng.random() < 0.5:
        path = rng.choice(photographs)
        picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE).astype(np.float32)
        height, width = picture.shape
        scale = rng.uniform(1.6, max(1.7, min(height / 250, width / 400, 5)))
        picture = cv2.resize(picture, (int(width / scale), int(height / scale)), interpolation=cv2.INTER_AREA)
        height, width = picture.shape
        w, h = min(640, width - 8) // 2 * 2, min(360, height - 8) // 2 * 2
        x, y = rng.randrange(0, width - w - 6), rng.randrange(0, height - h - 6)
        dx, dy = rng.choice([0, 0, 1]), rng.choice([0, 0, 1])
        return path, [picture[y + i * dy:y + i * dy + h, x + i * dx:x + i * dx + w] for i in range(FRAMES)]
    name, begin, end = rng.choice(FILMS)
    start = rng.uniform(begin, end)
    heights = {"pose": [360, 480, 640], "vtes": [144, 192, 288], "free": [240, 360, 360]}.get(name[:4], [180, 270, 360])
    frames = gray(f"{data}/train/film/{name}", rng.choice(heights), FRAMES, start)
    # Scenes of one film count as different films.
    return f"{name} {int(start / 40)}", frames


def coded(frames, codec, rng):
    height, width = frames[0].shape
    options = {
        "x264": ["libx264", "-preset", rng.choice(["veryfast", "medium"]), "-crf", str(rng.randrange(16, 36))],
        "mpeg2": ["mpeg2video", "-q:v", str(rng.randrange(2, 13))], "mpeg4": ["mpeg4", "-q:v", str(rng.randrange(2, 11))],
    }[codec]
    raw = np.clip(np.round(np.stack(frames)), 0, 255).astype(np.uint8).tobytes()
    with tempfile.NamedTemporaryFile(suffix=".mkv") as file:
        ffmpeg(["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "25", "-i", "-", "-pix_fmt",
                "yuv420p", "-c:v", *options, "-threads", "1", file.name], raw)
        raw = ffmpeg(["-i", file.name, "-vf", "format=yuv420p,extractplanes=y", "-f", "rawvideo", "-"])
    return list(np.frombuffer(raw, np.uint8).reshape(-1, height, width).astype(np.float32))


def linear_filter(shape, rng, generation):
    """A blur, a resampling or a sharpening; None most of the time."""
    height, width = shape
    if rng.random() < (0.55 if generation == 0 else 0.4):
        sigma = rng.uniform(0.3, 1.8)
        down = sigma if rng.random() < 0.7 else rng.uniform(0.3, 1.8)
        return lambda x: blur(x, sigma, down)
    if rng.random() < 0.15:
        factor, kernel = rng.uniform(0.45, 0.9), rng.choice([cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4])
        size = (int(width * factor), int(height * factor))
        return lambda x: cv2.resize(cv2.resize(x, size, interpolation=cv2.INTER_AREA), (width, height), interpolation=kernel)
    if rng.random() < 0.1:
        amount = rng.uniform(0.3, 1.4)
        return lambda x: x + amount * (x - blur(x, 1))
    return None


def sample(job):
    """{origin, sharpness, features}, or None for pictures without edges."""
    data, photographs, seed = job
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    origin, clean = clean_frames(data, photographs, rng)
    if len(clean) < FRAMES or clean[0].std() < 6 or min(clean[0].shape) < 80:
        return None
    frames, filtered = clean, clean[0]
    for generation in range(rng.choice([1, 1, 1, 2])):
        if apply := linear_filter(clean[0].shape, rng, generation):
            frames, filtered = [apply(x) for x in frames], apply(filtered)
        if rng.random() < 0.4:
            level, size = 8 * rng.random() ** 2, rng.choice([0, 0, 0.6])
            grain = [noise.normal(0, 1, x.shape).astype(np.float32) for x in frames]
            if size:
                grain = [g / g.std() for g in (blur(g, size) for g in grain)]
            frames = [x + level * g for x, g in zip(frames, grain)]
        codec = rng.choice(CODECS + ([] if generation else ["none"] * 2))
        if codec != "none":
            frames = coded(frames, codec, rng)
    frames = [np.clip(np.round(x), 0, 255).astype(np.float32) for x in frames]
    high, kept = clean[0] - blur(clean[0], 1), filtered - blur(filtered, 1)
    found = features(frames[1::2])
    return found and {"origin": origin, "sharpness": float(np.sum(high * kept) / np.sum(high * high)), "features": found}


def ridge(x, y, weight=3.0):
    """Constant and coefficients; features are normalised for the penalty."""
    mean, deviation = x.mean(0), x.std(0) + 1e-9
    a = np.c_[(x - mean) / deviation, np.ones(len(x))]
    w = np.linalg.solve(a.T @ a + weight * np.diag([1] * x.shape[1] + [0]), a.T @ y)
    return w[-1] - np.sum(w[:-1] * mean / deviation), w[:-1] / deviation


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--of":
        with open(FIT) as file:
            fit = json.load(file)
        for path in sys.argv[2:]:
            found = features([x for i, x in enumerate(gray(path, None, 11)) if i in (1, 4, 7, 10)])
            print(path, "unknown" if found is None else f"{fit['constant'] + np.dot(found, fit['coefficients']):.3f}")
        return
    data, count = sys.argv[1], int(sys.argv[2])
    photographs = sorted(glob.glob(f"{data}/train/photos/**/*.jpg", recursive=True))
    with Pool(os.cpu_count()) as pool:
        samples = [s for s in pool.imap(sample, [(data, photographs, seed) for seed in range(count)], 4) if s]
    x = np.array([s["features"] for s in samples])
    y = np.clip([s["sharpness"] for s in samples], 0, 1.4)
    origins = sorted({s["origin"] for s in samples})
    part = np.array([origins.index(s["origin"]) % 8 for s in samples])
    guess = np.zeros(len(y))
    for index in range(8):
        constant, coefficients = ridge(x[part != index], y[part != index])
        guess[part == index] = constant + x[part == index] @ coefficients
    print(f"{len(y)} samples of {len(origins)} origins; of the variance of origins that were left out, "
          f"{1 - np.mean((guess - y) ** 2) / y.var():.2f} is explained, error {np.sqrt(np.mean((guess - y) ** 2)):.3f}")
    constant, coefficients = ridge(x, y)
    print(f"constant {constant:.4f}\n" + " ".join(f"{c:.4f}," for c in coefficients))
    with open(FIT, "w") as file:
        json.dump({"constant": float(constant), "coefficients": [float(c) for c in coefficients]}, file)


if __name__ == "__main__":
    main()
