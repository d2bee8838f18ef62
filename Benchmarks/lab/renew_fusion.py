#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes new weights for the neighbours in a network's fusion, and keeps all others.

    renew_fusion.py sr-x2-balanced-real.safetensors renewed.safetensors [--seed 1]

What a network with fusion by attention takes from one with a convolution (`train --fusion attention --start`) is
everything but the fusion, and of that the centre's slot. From weights made here, the convolution starts with the same,
so that both can be compared after equally many steps. New weights are uniform in +-1/sqrt(fan-in), as in training.
"""
import argparse
import json

import numpy as np

import model_file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    architecture, layers, recipe = model_file.read_network(options.source)
    if architecture.attends:
        raise SystemExit(f"{options.source}: fusion by attention (a convolution is expected)")
    weights, biases = layers["fusion"]
    width, middle = architecture.encoderChannels, architecture.middle
    bound = 1 / np.sqrt(weights[0].size)
    renewed = np.random.default_rng(options.seed).uniform(-bound, bound, weights.shape).astype(np.float32)
    centre = slice(middle * width, (middle + 1) * width)
    renewed[:, centre] = weights[:, centre]
    layers["fusion"] = (renewed, biases)
    recipe = json.dumps({"renewedFusionOf": json.loads(recipe) if recipe else None, "seed": options.seed})
    model_file.write_network(options.output, architecture, layers, recipe)


if __name__ == "__main__":
    main()
