# SPDX-License-Identifier: Apache-2.0
"""Makes a super-resolution network for x4 of one for x2, as a start for training.

    python3 to_four.py X2 OUTPUT      e.g. sr-x2-balanced-real.safetensors x4-start.safetensors

Both networks see the same inputs on the same grid. Each output of the old tail becomes four outputs of the new one,
which interpolate linearly between their neighbours within the grid point.
"""
import dataclasses
import json
import sys

import numpy as np

import model_file


def doubling(count):
    """A matrix of 2 count x count that interpolates linearly, and repeats the ends."""
    places = np.clip((np.arange(2 * count) - 0.5) / 2, 0, count - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(count)[None])).astype(np.float32)


def enlarged(tail):
    """Outputs of a tail for x4 (channels first): luma phases in raster order of 8 x 8, then 4 x 4 of U and V."""
    rest = tail.shape[1:]
    luma, chroma = tail[:16].reshape(4, 4, *rest), tail[16:].reshape(2, 2, 2, *rest)
    luma = np.einsum("ai,bj,ij...->ab...", doubling(4), doubling(4), luma).reshape(64, *rest)
    chroma = np.einsum("ai,bj,cij...->cab...", doubling(2), doubling(2), chroma).reshape(32, *rest)
    return np.concatenate([luma, chroma]).astype(np.float32)


def four(architecture, layers, recipe):
    """(architecture, layers, recipe) of the network for x4."""
    if architecture.task != "sr" or architecture.scale != 2:
        raise ValueError("the network is not one for sr x2")
    return (dataclasses.replace(architecture, scale=4), layers | {"tail": tuple(enlarged(part) for part in layers["tail"])},
            json.dumps({"enlarged": json.loads(recipe), "tool": "Benchmarks/lab/to_four.py"},
                       sort_keys=True, separators=(",", ":")))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model_file.write_network(sys.argv[2], *four(*model_file.read_network(sys.argv[1])))


if __name__ == "__main__":
    main()
