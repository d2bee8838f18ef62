# SPDX-License-Identifier: Apache-2.0
"""Makes a restoration network of a super-resolution network for real footage, as a start for training.

    python3 to_restore.py SR OUTPUT      e.g. sr-x2-balanced-real.safetensors restore-start.safetensors

Both networks see the same inputs on the same grid. Each output of the new tail is the mean of the scale x scale
outputs of the old one that lie inside its pixel: the residual of the enlarged picture, averaged down.
"""
import dataclasses
import json
import sys

import numpy as np

import model_file


def averaged_down(tail, scale):
    """Outputs of a tail (channels first) at scale 1: luma phases in raster order of 2 x 2, then U and V."""
    luma, chroma = tail[:4 * scale**2], tail[4 * scale**2:]
    rest = tail.shape[1:]
    luma = luma.reshape(2, scale, 2, scale, *rest).mean(axis=(1, 3)).reshape(4, *rest)
    return np.concatenate([luma, chroma.reshape(2, scale**2, *rest).mean(axis=1)])


def restoration(architecture, layers, recipe):
    """(architecture, layers, recipe) of the restoration network."""
    if architecture.task != "sr" or not architecture.conditioned:
        raise ValueError("the network is not one of sr that is conditioned on its source")
    changed = dict(layers)
    changed["tail"] = tuple(averaged_down(part, architecture.scale) for part in layers["tail"])
    return (dataclasses.replace(architecture, task="restore", scale=1), changed,
            json.dumps({"averagedDown": json.loads(recipe), "tool": "Benchmarks/lab/to_restore.py"},
                       sort_keys=True, separators=(",", ":")))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model_file.write_network(sys.argv[2], *restoration(*model_file.read_network(sys.argv[1])))


if __name__ == "__main__":
    main()
