#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs exported networks in onnxruntime: do they load and run, and how long do they take?

Usage: onnx_check.py FLOAT.onnx QDQ.onnx ... [--height 135] [--width 240] [--threads 1] [--rounds 5]
Needs: pip install onnxruntime onnx numpy
"""
import argparse
import statistics
import time

import numpy
import onnx
import onnxruntime

parser = argparse.ArgumentParser()
parser.add_argument("models", nargs="+")
parser.add_argument("--height", type=int, default=135)
parser.add_argument("--width", type=int, default=240)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=5)
options = parser.parse_args()

sessions = []
for path in options.models:
    onnx.checker.check_model(path, full_check=True)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    sessions.append(onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]))

# Smooth pictures, as frames are; neighbours move a little.
random = numpy.random.default_rng(1)
inputs = {}
for value in sessions[0].get_inputs():
    shape = (1, value.shape[1], options.height, options.width)
    field = random.normal(0, 1, shape).astype(numpy.float32)
    for axis in (2, 3):
        for _ in range(3):
            field = (field + numpy.roll(field, 1, axis) + numpy.roll(field, -1, axis)) / 3
    codes = numpy.clip(numpy.rint(128 + 300 * field), 0, 255)
    inputs[value.name] = ((codes - 128) / 255).astype(numpy.float32)

times = [[] for _ in sessions]
outputs = [None] * len(sessions)
for _ in range(options.rounds):
    for index, session in enumerate(sessions):
        start = time.perf_counter()
        outputs[index] = session.run(None, inputs)[0]
        times[index].append(time.perf_counter() - start)

for path, output, seconds in zip(options.models, outputs, times):
    assert numpy.isfinite(output).all() and output.std() > 0, path
    print(f"{path}: {output.shape[1]} channels, median {statistics.median(seconds) * 1000:.1f} ms "
          f"on {options.threads} thread(s)")
