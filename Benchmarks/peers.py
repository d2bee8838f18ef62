#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our integer engine with onnxruntime, openvino and ncnn: the reference stack, and a shipped network exported to
ONNX, all engines interleaved in one run; medians count. With ONEDNN_MAX_CPU_ISA, only engines that obey it are timed.

Usage: peers.py PROGRAM CLIP RESULTS.json [--rounds 9] [--threads 1 2]
Needs: Benchmarks/requirements.txt
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy

import engines
import stack_models

NETWORK = "sr-x2-balanced"
# By name: the bits of the layers in the middle of the stack, and of the first and last layer.
OURS = {f"videnhance {bits} bits": (bits, 8) for bits in (32, 8, 6, 4, 3, 2)}
OURS.update({f"videnhance {bits} bits throughout": (bits, bits) for bits in (6, 4, 3, 2)})


def stack_contenders(folder, threads):
    """By name what makes an engine with the reference stack."""
    path = lambda name: os.path.join(folder, name)
    return {
        "onnxruntime fp32": lambda: engines.Onnxruntime(path("stack.onnx"), threads),
        "onnxruntime int8": lambda: engines.Onnxruntime(path("stack-int8.onnx"), threads),
        "openvino fp32": lambda: engines.Openvino(path("stack.onnx"), threads),
        "openvino bf16": lambda: engines.Openvino(path("stack.onnx"), threads, "bf16"),
        "openvino int8": lambda: engines.Openvino(path("stack-int8.onnx"), threads),
        "ncnn fp32": lambda: engines.Ncnn(path("stack-ncnn"), threads, False),
        "ncnn int8": lambda: engines.Ncnn(path("stack-ncnn-int8"), threads, True),
    }


def write_stacks(folder):
    for quantized, ending in ((False, ""), (True, "-int8")):
        stack_models.write_onnx(os.path.join(folder, f"stack{ending}.onnx"), quantized)
        stack_models.write_ncnn(os.path.join(folder, f"stack-ncnn{ending}"), quantized)


def stack_input():
    shape = (1, stack_models.CHANNELS[0], stack_models.HEIGHT, stack_models.WIDTH)
    return {"input": numpy.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(numpy.float32)}


def our_milliseconds(ours, job):
    """As engines.seconds_of: the second of two runs."""
    ours.ask(job)
    return float(ours.ask(job)[0])


def time_stack(program, folder, threads, rounds):
    """Median milliseconds by engine, and the relative rms difference of each peer's output from onnxruntime's floats."""
    makers, inputs = stack_contenders(folder, threads), stack_input()
    truth = numpy.array(makers["onnxruntime fp32"]().run(inputs)).ravel()
    if not engines.openvino_has("BF16"):
        del makers["openvino bf16"]
    contenders = {name: make() for name, make in makers.items() if engines.obeys_limit(name)}
    outputs = {name: numpy.array(engine.run(inputs)) for name, engine in contenders.items()}
    distance = {
        name: float(numpy.sqrt(numpy.mean((output.ravel() - truth) ** 2) / numpy.mean(truth ** 2)))
        for name, output in outputs.items()
    }
    ours = engines.Videnhance(program)
    times: dict[str, list[float]] = {name: [] for name in [*contenders, *OURS]}
    for _ in range(rounds):
        for name, engine in contenders.items():
            times[name].append(engines.seconds_of(engine, inputs) * 1e3)
        for name, (bits, edge) in OURS.items():
            times[name].append(our_milliseconds(ours, f"stack {bits} {threads} {edge}"))
    ours.close()
    return {name: statistics.median(values) for name, values in times.items()}, distance


def export(program, folder, name):
    path = os.path.join(folder, name + ".onnx")
    subprocess.run([program, "export", name, "-o", path, "--overwrite"], check=True)
    return path


def time_network(program, clip, folder, threads, rounds):
    """The shipped network on one window of the clip: milliseconds without packing, and how far outputs are apart
    (rms, in levels of 8 bits)."""
    ours = engines.Videnhance(program, clip)
    bits = [("", 32), ("-8bit", 8), ("-4bit", 4)]
    contenders: dict[str, tuple[engines.Onnxruntime | engines.Openvino, int]] = {}
    inputs, expected = {}, {}
    for ending, bit in bits:
        name = NETWORK + ending
        ours.ask(f"save {name} {folder}")
        path = export(program, folder, name)
        session = engines.Onnxruntime(path, threads)
        shapes = {i.name: [1, i.shape[1], 270, 480] for i in session.session.get_inputs()}
        inputs = {
            key: numpy.fromfile(os.path.join(folder, key + ".f32"), numpy.float32).reshape(shape)
            for key, shape in shapes.items()
        }
        expected[bit] = numpy.fromfile(os.path.join(folder, "residual.f32"), numpy.float32)
        if engines.obeys_limit("onnxruntime"):
            contenders[f"onnxruntime, {bit}-bit model"] = (session, bit)
        contenders[f"openvino, {bit}-bit model"] = (engines.Openvino(path, threads, shapes=shapes), bit)
    distance = {}
    for name, (engine, bit) in contenders.items():
        output = numpy.array(engine.run(inputs)).ravel()
        truth = expected[bit][:output.size]
        distance[name] = 255 * float(numpy.sqrt(numpy.mean((output - truth) ** 2)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    times.update({f"videnhance, {bit}-bit model": [] for _, bit in bits})
    for _ in range(rounds):
        for name, (engine, _) in contenders.items():
            times[name].append(engines.seconds_of(engine, inputs) * 1e3)
        for ending, bit in bits:
            times[f"videnhance, {bit}-bit model"].append(our_milliseconds(ours, f"network {NETWORK}{ending} {threads}"))
    ours.close()
    return {name: statistics.median(values) for name, values in times.items()}, distance


def memory_of(name, folder, program, clip):
    """Peak memory in MB of a process of its own that runs one engine."""
    if name.startswith("videnhance"):
        ours = engines.Videnhance(program, clip)
        words = name.split()
        ours.ask("stack {} 2 {}".format(*OURS[name]) if name in OURS else f"network {words[1]} 2")
        result = int(ours.ask("memory")[0])
        ours.close()
        return result
    answer = subprocess.run(
        [sys.executable, __file__, program, clip, folder, "--memory-of", name], check=True, capture_output=True, text=True)
    return int(answer.stdout.split()[-1])


def tell_memory(name, folder):
    engine, inputs = stack_contenders(folder, 2)[name](), stack_input()
    for _ in range(2):
        engine.run(inputs)
    # Not ru_maxrss, which starts from the memory of the parent process.
    with open("/proc/self/status") as file:
        print(next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("clip")
    parser.add_argument("results")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--memory-of")
    options = parser.parse_args()
    if options.memory_of:
        tell_memory(options.memory_of, options.results)
        return
    results = {"machine": engines.machine(), "rounds": options.rounds, "stack": {}, "network": {}, "memory": {}}
    with tempfile.TemporaryDirectory() as folder:
        write_stacks(folder)
        for threads in options.threads:
            times, distance = time_stack(options.program, folder, threads, options.rounds)
            results["stack"][str(threads)] = times
            results["stack distance"] = distance
            times, distance = time_network(options.program, options.clip, folder, threads, options.rounds)
            results["network"][str(threads)] = times
            results["network distance"] = distance
        names = ["onnxruntime fp32", "onnxruntime int8", "openvino fp32", "openvino int8", "ncnn fp32", "ncnn int8"]
        names = [name for name in names if engines.obeys_limit(name)] + list(OURS)
        names += [f"videnhance {NETWORK}{ending} network" for ending in ("", "-8bit", "-4bit")]
        for name in names:
            results["memory"][name] = memory_of(name, folder, options.program, options.clip)
    with open(options.results, "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
