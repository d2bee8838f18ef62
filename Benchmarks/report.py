#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a table and a plot of what was measured, and checks the ratios recorded in Benchmarks/ratios.json.

Usage: report.py RESULTS_FOLDER [--docs docs/lab] [--record]
--record writes the ratios of this run into ratios.json instead of checking them. A ratio may fall short of the recorded one
by the slack recorded with it (machines differ and are shared); if one falls further, the exit code is 1.
"""
import argparse
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FP32_PEERS = ("onnxruntime fp32", "openvino fp32", "ncnn fp32")
# Goals: the beginning of a ratio's name, and its minimum.
GOALS = {
    "stack: 4 bits to openvino int8": 1.7, "stack: 4 bits to the best FP32 engine": 4, "stack: 3 bits to our 4 bits": 1.1,
    "stack: 2 bits to our 4 bits": 1.1, "stack: 6 bits to openvino int8": 1.25, "stack: 8 bits to openvino int8": 1,
    "stack: 4 bits to our FP32": 5, "network: 4 bits to our FP32": 5, "stack: memory": 3.125,
    "kernel: 4 bits to the peak": 1.45, "kernel: 4 bits to our 8 bits": 1.8, "interpolation": 1, "sr x2 speed": 1,
    "sr x2 memory": 1,
}
# Goals of super-resolution x2, 540p to 1080p, on two cores: minimum frames per second and maximum memory in MB.
SR_JOB = "super-resolution x2, 540p to 1080p"
SR_RATES = {"fast": 24, "balanced": 12}
SR_MEMORY = 250
HEADER = """# Benchmark

The last full record of `make bench`, written by `Benchmarks/report.py`. docs/lab/performance.md
explains the figures.

"""


def load(folder, name):
    with open(os.path.join(folder, name)) as file:
        return json.load(file)


def kernels_of(folder):
    """What `videnhance bench kernels` printed: the peak, and GMAC/s by operands."""
    result = {}
    for name in sorted(os.listdir(folder)):
        match = re.fullmatch(r"kernels-(\w+)-(\d)\.txt", name)
        if not match:
            continue
        with open(os.path.join(folder, name)) as file:
            text = file.read()
        if "DIFFERS" in text:
            sys.exit(f"report: {name}: a kernel differs from the scalar one")
        peak = float(re.search(r"products: (\d+)", text).group(1))
        rows = {}
        for bits, kind, algorithm, ms, rate in re.findall(
                r"^(\S+-bit) (\w+) +(\S+) +([\d.]+) ms +(\d+) GMAC/s", text, re.M):
            rows[f"{bits} {kind}"] = {"algorithm": algorithm, "ms": float(ms), "rate": float(rate)}
        result[f"{match[1]}, {match[2]} thread{'s' if match[2] != '1' else ''}"] = {"peak": peak, "rows": rows}
    return result


def ratios_of(kernels, peers, runs):
    """Speed ratios by name; larger is better."""
    ratios = {}
    for threads, times in peers["stack"].items():
        at = f", {threads} thread{'s' if threads != '1' else ''}"
        # All layers at these bits, as the peers' are all at theirs.
        ours = lambda bits: times[f"videnhance {bits} bits" + ("" if bits in (32, 8) else " throughout")]
        ratios["stack: 4 bits to openvino int8" + at] = times["openvino int8"] / ours(4)
        ratios["stack: 4 bits to the best FP32 engine" + at] = min(times[name] for name in FP32_PEERS) / ours(4)
        ratios["stack: 3 bits to our 4 bits" + at] = ours(4) / ours(3)
        ratios["stack: 2 bits to our 4 bits" + at] = ours(4) / ours(2)
        ratios["stack: 6 bits to openvino int8" + at] = times["openvino int8"] / ours(6)
        ratios["stack: 8 bits to openvino int8" + at] = times["openvino int8"] / ours(8)
        ratios["stack: 4 bits to our FP32" + at] = ours(32) / ours(4)
        ratios["stack with ends of 8 bits: 4 bits to openvino int8" + at] = (
            times["openvino int8"] / times["videnhance 4 bits"])
    for threads, times in peers["network"].items():
        at = f", {threads} thread{'s' if threads != '1' else ''}"
        ratios["network: 4 bits to our FP32" + at] = (
            times["videnhance, 32-bit model"] / times["videnhance, 4-bit model"])
    memory = peers["memory"]
    ratios["stack: memory of our FP32 to 4 bits"] = (
        memory["videnhance 32 bits"] / memory["videnhance 4 bits throughout"])
    for name, kernel in kernels.items():
        rows = kernel["rows"]
        if name.startswith("avx512vnni"):
            ratios[f"kernel: 4 bits to the peak of vpdpbusd ({name})"] = rows["4-bit automatic"]["rate"] / kernel["peak"]
        if name.startswith("avx2"):
            ratios[f"kernel: 4 bits to our 8 bits ({name})"] = rows["8-bit direct"]["ms"] / rows["4-bit automatic"]["ms"]
    for job, rows in runs.items():
        for name, row in rows.items():
            if name.startswith("videnhance") and "minterpolate" in " ".join(rows):
                ratios[f"{job}: to minterpolate"] = rows["ffmpeg minterpolate"]["seconds"] / row["seconds"]
    for model, rate in SR_RATES.items():
        row = runs[SR_JOB][f"videnhance {model}, 4 bits"]
        ratios[f"sr x2 speed: frames a second of {model} to {rate}"] = row["frames"] / row["seconds"] / rate
        ratios[f"sr x2 memory: {SR_MEMORY} MB to the peak of {model}"] = SR_MEMORY / row["memory"]
        ratios[f"sr x2 beside FFmpeg's bicubic: {model}"] = (
            runs[SR_JOB]["ffmpeg scale=bicubic"]["seconds"] / row["seconds"])
    return {name: round(value, 3) for name, value in ratios.items()}


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def distance_text(key, value):
    return f"{100 * value:.2f} %" if key == "stack" else f"{value:.3f}"


def markdown(kernels, peers, runs, ratios):
    facts = peers["machine"]
    text = (f"Measured on {facts.get('model name', '?')} (family {facts.get('cpu family')}, model {facts.get('model')}), "
            f"{facts['cores']} cores, {', '.join(facts['extensions'])};\n"
            f"medians of {peers['rounds']} interleaved rounds.\n\n")
    text += "## One 64 -> 64 layer, GMAC/s (direct-equivalent)\n\n"
    rows = []
    for name, kernel in kernels.items():
        for operands, row in kernel["rows"].items():
            share = f"{100 * row['rate'] / kernel['peak']:.0f} %" if kernel["peak"] and "avx2" not in name else ""
            rows.append([name, operands, row["algorithm"], f"{row['ms']:.2f}", f"{row['rate']:.0f}", share])
    text += table(["instruction set", "operands", "algorithm", "ms", "GMAC/s", "of the peak"], rows)
    for key, title in (("stack", "Reference stack, ms"), ("network", "sr-x2-balanced exported to ONNX, ms, without packing")):
        text += f"\n## {title}\n\n"
        threads = list(peers[key])
        distance = peers[key + " distance"]
        memory = peers["memory"] if key == "stack" else {}
        rows = [
            [name] + [f"{peers[key][t][name]:.1f}" for t in threads]
            + [distance_text(key, distance[name]) if name in distance else ""] + ([memory.get(name, "")] if memory else [])
            for name in peers[key][threads[0]]
        ]
        against = "rms distance from onnxruntime's floats" if key == "stack" else "rms distance from our result, levels"
        text += table(["engine"] + [f"{t} thread{'s' if t != '1' else ''}" for t in threads] + [against]
                      + (["peak memory, MB"] if memory else []), rows)
    text += "\n## File to file, x264 (veryfast, CRF 16) included\n\n"
    text += table(["job", "by", "seconds", "fps", "peak memory, MB"], [
        [job, name, f"{row['seconds']:.2f}", f"{row['frames'] / row['seconds']:.1f}", row["memory"]]
        for job, works in runs.items() for name, row in works.items()])
    return text + "\n## Ratios\n\n" + table(
        ["ratio", "times", "goal"], [[name, f"{value:.2f}", goal_of(name)] for name, value in ratios.items()])


def goal_of(name):
    return next((f"{goal:g}" for start, goal in GOALS.items() if name.startswith(start)), "")


def plot(peers):
    """Milliseconds of the reference stack on one thread as bars."""
    times = peers["stack"]["1"]
    names = sorted(times, key=lambda name: times[name])
    most, height = max(times.values()), 24
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{40 + height * len(names)}" '
             'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>',
             '<text x="10" y="20">Reference stack, 42.25 GMAC, one thread, milliseconds (shorter is faster)</text>']
    for i, name in enumerate(names):
        y, width = 34 + height * i, 410 * times[name] / most
        colour = "#2a7" if name.startswith("videnhance") else "#99a"
        lines.append(f'<text x="10" y="{y + 14}">{name}</text>'
                     f'<rect x="220" y="{y}" width="{width:.1f}" height="{height - 6}" fill="{colour}"/>'
                     f'<text x="{226 + width:.1f}" y="{y + 14}">{times[name]:.0f}</text>')
    return "\n".join(lines + ["</svg>"]) + "\n"


def check(ratios):
    path = os.path.join(HERE, "ratios.json")
    with open(path) as file:
        recorded = json.load(file)
    short = 0
    for name, entry in recorded.items():
        if name not in ratios:
            print(f"not measured here: {name}")
            continue
        least = entry["ratio"] * (1 - entry["slack"])
        falls_short = ratios[name] < least
        short += falls_short
        print(f"{'SHORT' if falls_short else 'ok   '} {ratios[name]:8.2f} (recorded {entry['ratio']:.2f}, at least {least:.2f})  {name}")
    return 1 if short else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--docs", help="folder to write benchmark.md and benchmark.svg into")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    kernels, peers = kernels_of(options.folder), load(options.folder, "peers.json")
    runs = load(options.folder, "end_to_end.json")
    ratios = ratios_of(kernels, peers, runs)
    text = markdown(kernels, peers, runs, ratios)
    for folder in (options.folder, options.docs):
        if folder:
            with open(os.path.join(folder, "benchmark.md"), "w") as file:
                file.write(HEADER + text)
            with open(os.path.join(folder, "benchmark.svg"), "w") as file:
                file.write(plot(peers))
    print(text)
    if options.record:
        with open(os.path.join(HERE, "ratios.json"), "w") as file:
            json.dump({name: {"ratio": value, "slack": 0.2} for name, value in ratios.items()}, file, indent=1)
            file.write("\n")
        return 0
    return check(ratios)


if __name__ == "__main__":
    sys.exit(main())
