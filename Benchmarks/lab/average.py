# SPDX-License-Identifier: Apache-2.0
"""Averages the weights of networks that were trained from each other, or from the same start.

    python3 average.py OUTPUT SHARE:NETWORK...      e.g. out.safetensors 0.15:sr-x2-balanced.safetensors 0.85:sr-x2-real.safetensors

Shares are relative to their sum. Where one network is conditioned on its source and others are not, those get weights of
zero for the additional inputs, which changes nothing of what they compute. (M. Wortsman et al., Model soups, 2022.)
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


def compact(recipe):
    """The recipe, in which a part of an average that was trained from another part only names that one.

    Otherwise, the recipe of the start would be in it twice, and four times after the next average.
    """
    if isinstance(recipe, list):
        return [compact(value) for value in recipe]
    if not isinstance(recipe, dict):
        return recipe
    parts = [part["of"] for part in recipe.get("average", [])]
    result = {key: compact(value) for key, value in recipe.items()}
    for part, old in zip(result.get("average", []), parts, strict=True):
        if isinstance(old, dict) and old.get("start") in parts:
            part["of"]["start"] = {"part": parts.index(old["start"]) + 1}
    return result


def average(networks, shares):
    """(architecture, layers, recipe) of the mean of networks as `model_file.read_network` returns them."""
    conditioned = any(architecture.conditioned for architecture, _, _ in networks)
    shares = [share / sum(shares) for share in shares]
    parts, mixed, first = [], {}, None
    for (architecture, layers, recipe), share in zip(networks, shares, strict=True):
        if conditioned and not architecture.conditioned:
            architecture, layers = with_conditions(architecture, layers)
        first = first or architecture
        if architecture != first:
            raise ValueError(f"the networks differ: {first} and {architecture}")
        for name, arrays in layers.items():
            scaled = tuple(array * np.float32(share) for array in arrays)
            mixed[name] = tuple(a + b for a, b in zip(mixed[name], scaled)) if name in mixed else scaled
        parts.append({"of": json.loads(recipe), "share": round(share, 6)})
    recipe = compact({"average": parts, "tool": "Benchmarks/lab/average.py"})
    return first, mixed, json.dumps(recipe, sort_keys=True, separators=(",", ":"))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    shares, paths = zip(*(argument.split(":", 1) for argument in sys.argv[2:]))
    networks = [model_file.read_network(path) for path in paths]
    model_file.write_network(sys.argv[1], *average(networks, [float(share) for share in shares]))


if __name__ == "__main__":
    main()
