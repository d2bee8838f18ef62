# SPDX-License-Identifier: Apache-2.0
"""Averages the weights of two networks, one of which was trained from the other.

    python3 average.py CLEAN REAL SHARE OUTPUT      e.g. sr-x2-balanced.safetensors sr-x2-real.safetensors 0.85 out.safetensors

SHARE is REAL's part. Where REAL is conditioned on its source and CLEAN is not, CLEAN gets weights of zero for the
additional inputs, which changes nothing of what it computes. (M. Wortsman et al., Model soups, 2022.)
"""
import dataclasses
import json
import sys

import numpy as np

import model_file


def with_conditions(architecture, layers):
    """The same network with inputs for the properties of the source, whose weights are zero."""
    conditioned = dataclasses.replace(architecture, isConditioned=True)
    result = {}
    for name, inputs, _ in conditioned.layers():
        weights, biases = layers[name]
        added = np.zeros((weights.shape[0], inputs - weights.shape[1], 3, 3), np.float32)
        result[name] = (np.concatenate([weights, added], axis=1), biases)
    return conditioned, result


def average(first, second, share):
    """(architecture, layers, recipe) of two networks as `model_file.read_network` returns them."""
    (architecture, layers, recipe), (other, others, other_recipe) = first, second
    if other.conditioned and not architecture.conditioned:
        architecture, layers = with_conditions(architecture, layers)
    if architecture != other:
        raise ValueError(f"the networks differ: {architecture} and {other}")
    mixed = {
        name: tuple((a * np.float32(1 - share) + b * np.float32(share)).astype(np.float32)
                    for a, b in zip(layers[name], others[name]))
        for name in layers
    }
    parts = [{"of": json.loads(text), "share": part}
             for text, part in ((recipe, round(1 - share, 6)), (other_recipe, share))]
    return architecture, mixed, json.dumps(
        {"average": parts, "tool": "Benchmarks/lab/average.py"}, sort_keys=True, separators=(",", ":"))


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    clean, real, share, output = sys.argv[1:]
    networks = model_file.read_network(clean), model_file.read_network(real)
    model_file.write_network(output, *average(*networks, float(share)))


if __name__ == "__main__":
    main()
