#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tables and a plot of what was measured, and checks the ratios recorded in Benchmarks/ratios.json for the class of
machines (classes.py).

Usage: report.py RESULTS_FOLDER CLASS [--docs docs/lab] [--record]
--docs replaces the section of the class in benchmark.md; sections of other classes stay as they are. --record writes the
ratios of this run into ratios.json instead of checking them. A ratio may fall short of the recorded one by the slack recorded
with it (machines differ and are shared); if one falls further, the exit code is 1. Goals are shown, not enforced.
"""
import argparse
import json
import os
import re
import sys
import textwrap

import classes

HERE = os.path.dirname(os.path.abspath(__file__))
RATIOS = os.path.join(HERE, "ratios.json")
FP32_PEERS = ("onnxruntime fp32", "openvino fp32", "ncnn fp32")
SR_JOB = "super-resolution x2, 540p to 1080p"
# The goal for memory in MB.
SR_MEMORY = 250
SLACK = 0.2
# The class that benchmark.svg shows.
PLOTTED = "avx512vnni-amd"
HEADER = """# Benchmark

The last full record of `make bench` for each class of machines, written by `Benchmarks/report.py`.
docs/lab/performance.md explains the figures.
"""
NOT_MEASURED = "Not measured yet.\n"


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
        # Processors without dot products have no peak of them.
        match_of_peak = re.search(r"products: (\d+)", text)
        peak = float(match_of_peak[1]) if match_of_peak else None
        rows = {}
        for bits, kind, algorithm, ms, rate in re.findall(
                r"^(\S+-bit) (\w+) +(\S+) +([\d.]+) ms +(\d+) GMAC/s", text, re.M):
            rows[f"{bits} {kind}"] = {"algorithm": algorithm, "ms": float(ms), "rate": float(rate)}
        result[f"{match[1]}, {match[2]} thread{'s' if match[2] != '1' else ''}"] = {"peak": peak, "rows": rows}
    return result


def threads_text(threads):
    return f"{threads} thread{'' if threads == '1' else 's'}"


def ratios_of(kernels, peers, runs, rates):
    """Speed ratios by name; larger is better. `rates` has the goals of super-resolution in frames per second, by network."""
    ratios = {}
    for threads, times in peers["stack"].items():
        at = ", " + threads_text(threads)
        # All layers at these bits, as the peers' are all at theirs.
        ours = lambda bits: times[f"videnhance {bits} bits" + ("" if bits in (32, 8) else " throughout")]
        ratios["stack: 4 bits to openvino int8" + at] = times["openvino int8"] / ours(4)
        # With a limit, some are missing.
        if all(name in times for name in FP32_PEERS):
            ratios["stack: 4 bits to the best FP32 engine" + at] = min(times[name] for name in FP32_PEERS) / ours(4)
        ratios["stack: 3 bits to our 4 bits" + at] = ours(4) / ours(3)
        ratios["stack: 2 bits to our 4 bits" + at] = ours(4) / ours(2)
        ratios["stack: 6 bits to openvino int8" + at] = times["openvino int8"] / ours(6)
        ratios["stack: 8 bits to openvino int8" + at] = times["openvino int8"] / ours(8)
        ratios["stack: 4 bits to our FP32" + at] = ours(32) / ours(4)
        ratios["stack with ends of 8 bits: 4 bits to openvino int8" + at] = (
            times["openvino int8"] / times["videnhance 4 bits"])
    for threads, times in peers["network"].items():
        ratios["network: 4 bits to our FP32, " + threads_text(threads)] = (
            times["videnhance, 32-bit model"] / times["videnhance, 4-bit model"])
    memory = peers["memory"]
    ratios["stack: memory of our FP32 to 4 bits"] = (
        memory["videnhance 32 bits"] / memory["videnhance 4 bits throughout"])
    ratios |= kernel_ratios(kernels) | run_ratios(runs, rates)
    return {name: round(value, 3) for name, value in ratios.items()}


def kernel_ratios(kernels):
    ratios = {}
    for name, kernel in kernels.items():
        isa, threads = name.split(", ")
        rows = kernel["rows"]
        if isa == "amx":
            ratios[f"kernel: 8 bits to the peak of tiles ({name})"] = rows["8-bit direct"]["rate"] / kernel["peak"]
            ratios[f"kernel: 8 bits of amx to those of avx512vnni ({threads})"] = (
                kernels[f"avx512vnni, {threads}"]["rows"]["8-bit direct"]["ms"] / rows["8-bit direct"]["ms"])
        if isa == "avx512vnni":
            ratios[f"kernel: 4 bits to the peak of vpdpbusd ({name})"] = rows["4-bit automatic"]["rate"] / kernel["peak"]
        if isa == "avx2":
            ratios[f"kernel: 4 bits to our 8 bits ({name})"] = rows["8-bit direct"]["ms"] / rows["4-bit automatic"]["ms"]
    return ratios


def run_ratios(runs, rates):
    ratios = {}
    for job, rows in runs.items():
        for name, row in rows.items():
            if name.startswith("videnhance balanced") and "minterpolate" in " ".join(rows):
                ratios[f"{job}: to minterpolate"] = rows["ffmpeg minterpolate"]["seconds"] / row["seconds"]
    for name, row in runs[SR_JOB].items():
        if not name.startswith("videnhance"):
            continue
        short = name.removeprefix("videnhance ").removesuffix(", 4 bits")
        if name in rates:
            ratios[f"sr x2 speed: frames a second of {short} to {rates[name]:g}"] = (
                row["frames"] / row["seconds"] / rates[name])
        ratios[f"sr x2 memory: {SR_MEMORY} MB to the peak of {short}"] = SR_MEMORY / row["memory"]
        ratios[f"sr x2 beside FFmpeg's bicubic: {short}"] = (
            runs[SR_JOB]["ffmpeg scale=bicubic"]["seconds"] / row["seconds"])
    return ratios


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def distance_text(key, value):
    return f"{100 * value:.2f} %" if key == "stack" else f"{value:.3f}"


def machine_text(peers, isa):
    """What was measured on and how, as a paragraph."""
    facts = peers["machine"]
    if "model name" in facts:
        model = f"{facts['model name']} (family {facts.get('cpu family')}, model {facts.get('model')})"
    else:
        model = f"an arm64 processor (implementer {facts.get('CPU implementer')}, part {facts.get('CPU part')})"
    text = (f"Measured on {model}, {facts['cores']} cores, {', '.join(facts['extensions'])}; "
            f"medians of {peers['rounds']} interleaved rounds.")
    if facts.get("limit"):
        text += (f" Limited to the class on a better machine: videnhance by `VIDENHANCE_ISA={isa}`, openvino and oneDNN by "
                 f"`ONEDNN_MAX_CPU_ISA={facts['limit']}`. onnxruntime and ncnn know no such limit and are left out; FFmpeg's "
                 "filters and the encoder use what the machine has.")
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def kernel_table(kernels):
    rows = []
    for name, kernel in kernels.items():
        for operands, row in kernel["rows"].items():
            share = f"{100 * row['rate'] / kernel['peak']:.0f} %" if kernel["peak"] and "avx2" not in name else ""
            rows.append([name, operands, row["algorithm"], f"{row['ms']:.2f}", f"{row['rate']:.0f}", share])
    return table(["instruction set", "operands", "algorithm", "ms", "GMAC/s", "of the peak"], rows)


def engine_table(peers, key, memory):
    """Milliseconds of the "stack" or the "network" by engine; `memory` may be empty."""
    threads, distance = list(peers[key]), peers[key + " distance"]
    rows = [
        [name] + [f"{peers[key][t][name]:.1f}" for t in threads]
        + [distance_text(key, distance[name]) if name in distance else ""] + ([memory.get(name, "")] if memory else [])
        for name in peers[key][threads[0]]
    ]
    against = "rms distance from onnxruntime's floats" if key == "stack" else "rms distance from our result, levels"
    return table(["engine"] + [threads_text(t) for t in threads] + [against]
                 + (["peak memory, MB"] if memory else []), rows)


def section(kernels, peers, runs, ratios, goals, isa):
    """The section of a class in benchmark.md, without its heading."""
    parts = [
        machine_text(peers, isa),
        "### One 64 -> 64 layer, GMAC/s (direct-equivalent)\n", kernel_table(kernels),
        "### Reference stack, ms\n", engine_table(peers, "stack", peers["memory"]),
        "### sr-x2-balanced exported to ONNX, ms, without packing\n", engine_table(peers, "network", {}),
        "### File to file, x264 (veryfast, CRF 16) included\n",
        table(["job", "by", "seconds", "fps", "peak memory, MB"], [
            [job, name, f"{row['seconds']:.2f}", f"{row['frames'] / row['seconds']:.1f}", row["memory"]]
            for job, works in runs.items() for name, row in works.items()]),
        "### Ratios\n",
        table(["ratio", "times", "goal"],
              [[name, f"{value:.2f}", goal_text(name, goals)] for name, value in ratios.items()]),
    ]
    return "\n".join(parts)


def goal_of(name: str, goals: dict[str, float]) -> float | None:
    """`goals` has the beginnings of ratios' names."""
    return next((goal for start, goal in goals.items() if name.startswith(start)), None)


def goal_text(name, goals):
    goal = goal_of(name, goals)
    return "" if goal is None else f"{goal:g}"


def with_section(page: str, title: str, text: str) -> str:
    """The page with one section for each class, in their order, and this class's section replaced.

    Raises ValueError for a page with a section of no class, which would be lost.
    """
    titles = [one.title for one in classes.CLASSES]
    parts = re.split(r"^## (.*)\n", page, flags=re.M)
    sections = dict(zip(parts[1::2], parts[2::2]))
    for heading in sections:
        if heading not in titles:
            raise ValueError(f"the section '{heading}' is of no class")
    sections[title] = text
    return HEADER + "".join(f"\n## {one}\n\n{sections.get(one, NOT_MEASURED).strip()}\n" for one in titles)


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


def check(ratios, entry):
    """Prints how ratios compare with the class's record and goals; 1 if one falls short of the record."""
    for name, value in ratios.items():
        goal = goal_of(name, entry["goals"])
        if goal is not None and value < goal:
            print(f"below its goal: {value:.2f} of {goal:g}  {name}")
    if not entry["recorded"]:
        print("no record of this class yet (hint: --record)")
    short = 0
    for name, recorded in entry["recorded"].items():
        if name not in ratios:
            print(f"not measured here: {name}")
            continue
        least = recorded["ratio"] * (1 - recorded["slack"])
        falls_short = ratios[name] < least
        short += falls_short
        print(f"{'SHORT' if falls_short else 'ok   '} {ratios[name]:8.2f} "
              f"(recorded {recorded['ratio']:.2f}, at least {least:.2f})  {name}")
    return 1 if short else 0


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("machine_class", metavar="class", choices=[one.name for one in classes.CLASSES])
    parser.add_argument("--docs", help="folder with the benchmark.md and benchmark.svg to renew")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--ratios", default=RATIOS, help="recorded ratios and goals by class")
    options = parser.parse_args()
    one = classes.named(options.machine_class)
    with open(options.ratios) as file:
        every = json.load(file)
    entry = every[one.name]
    kernels, peers = kernels_of(options.folder), load(options.folder, "peers.json")
    runs = load(options.folder, "end_to_end.json")
    ratios = ratios_of(kernels, peers, runs, entry["frames a second"])
    text = section(kernels, peers, runs, ratios, entry["goals"], one.isa)
    print(text)
    write(os.path.join(options.folder, "benchmark.md"), f"## {one.title}\n\n{text}")
    write(os.path.join(options.folder, "benchmark.svg"), plot(peers))
    if options.docs:
        path = os.path.join(options.docs, "benchmark.md")
        with open(path) as file:
            page = file.read()
        write(path, with_section(page, one.title, text))
        if one.name == PLOTTED:
            write(os.path.join(options.docs, "benchmark.svg"), plot(peers))
    if not options.record:
        return check(ratios, entry)
    entry["recorded"] = {name: {"ratio": value, "slack": SLACK} for name, value in ratios.items()}
    write(options.ratios, json.dumps(every, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
