#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole runs, file to file, H.264 at CRF 16 and preset veryfast included: our program and FFmpeg's own filters, interleaved.

Usage: end_to_end.py PROGRAM TEST_CLIPS_FOLDER RESULTS.json [--rounds 3] [--jobs NAME]
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

X264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16"]
MINTERPOLATE = "minterpolate=fps=50:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"
# Sources of the clips: the test clip, the size it is scaled to, and its length in seconds.
CLIPS = {
    "540p.mp4": ("bigbuckbunny.mp4", "960:540", 5),
    "540p-short.mp4": ("bigbuckbunny.mp4", "960:540", 2),
    "bunny-half.mp4": ("bigbuckbunny.mp4", "640:360", 4),
    "bikes.mp4": ("bikes.mp4", "640:272", 4),
}
# By name of the job: its clip, and the commands to compare.
JOBS = {
    "super-resolution x2, 540p to 1080p": ("540p.mp4", {
        "videnhance fast, 4 bits": ["--task", "sr", "--bits", "4", "--model", "fast"],
        "videnhance balanced, 4 bits": ["--task", "sr", "--bits", "4"],
        "videnhance balanced, 8 bits": ["--task", "sr", "--bits", "8"],
        "ffmpeg scale=bicubic": "scale=1920:1080:flags=bicubic",
        "ffmpeg scale=lanczos": "scale=1920:1080:flags=lanczos",
    }),
    "denoising, 540p": ("540p-short.mp4", {
        "videnhance balanced, 4 bits": ["--task", "denoise", "--noise", "10", "--bits", "4"],
        "ffmpeg hqdn3d": "hqdn3d",
        "ffmpeg nlmeans": "nlmeans",
        "ffmpeg bm3d": "bm3d=sigma=10",
    }),
    "interpolation x2, bikes 640x272": ("bikes.mp4", {
        "videnhance": ["--task", "interp"],
        "videnhance balanced, 4 bits": ["--task", "interp", "--model", "balanced", "--bits", "4"],
        "ffmpeg minterpolate": MINTERPOLATE,
    }),
    "interpolation x2, Big Buck Bunny 640x360": ("bunny-half.mp4", {
        "videnhance": ["--task", "interp"],
        "videnhance balanced, 4 bits": ["--task", "interp", "--model", "balanced", "--bits", "4"],
        "ffmpeg minterpolate": MINTERPOLATE,
    }),
}


def frame_count(path):
    answer = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries",
         "stream=nb_read_packets", "-of", "csv=p=0", path], check=True, capture_output=True, text=True)
    return int(answer.stdout.strip().strip(","))


def run(command):
    """Seconds, and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(command)}: {errors.strip()}")
    return time.perf_counter() - start, usage.ru_maxrss // 1024


def command_of(program, work, clip, output):
    if isinstance(work, list):
        return [program, clip, output, "--overwrite", "--quiet", "--preset", "veryfast"] + work
    return ["ffmpeg", "-v", "error", "-y", "-i", clip, "-map", "0", "-vf", work] + X264 + ["-c:a", "copy", output]


def make_clips(source, folder):
    for name, (clip, size, seconds) in CLIPS.items():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-i", os.path.join(source, clip), "-t", str(seconds), "-vf",
             f"scale={size}:flags=bicubic", "-c:v", "libx264", "-preset", "fast", "-crf", "12", "-c:a", "copy",
             os.path.join(folder, name)], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("clips")
    parser.add_argument("results")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", help="only jobs whose names begin so")
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        make_clips(options.clips, folder)
        for job, (clip, works) in JOBS.items():
            if options.jobs and not job.startswith(options.jobs):
                continue
            times: dict[str, list[float]] = {name: [] for name in works}
            memory: dict[str, int] = {}
            frames: dict[str, int] = {}
            for _ in range(options.rounds):
                for name, work in works.items():
                    output = os.path.join(folder, "out.mp4")
                    seconds, peak = run(command_of(options.program, work, os.path.join(folder, clip), output))
                    times[name].append(seconds)
                    memory[name] = max(peak, memory.get(name, 0))
                    frames[name] = frame_count(output)
            results[job] = {
                name: {"seconds": statistics.median(times[name]), "frames": frames[name], "memory": memory[name]}
                for name in works
            }
            for name, row in results[job].items():
                print(f"{job}: {name}: {row['seconds']:.2f} s, {row['frames'] / row['seconds']:.1f} fps, "
                      f"{row['memory']} MB", flush=True)
    with open(options.results, "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
