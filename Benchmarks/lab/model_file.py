# SPDX-License-Identifier: Apache-2.0
"""Model files as the program reads and writes them: safetensors with the architecture and the recipe as metadata.

Mirrors Sources/EnhancementModel/{Architecture,NetworkWeights,Safetensors}.swift.
"""
import dataclasses
import json
import os

import numpy as np

ARCHITECTURE_KEY = "videnhance.architecture"
RECIPE_KEY = "videnhance.recipe"
FRAME_CHANNELS = 6
NEIGHBOUR_CHANNELS = 38
INTERPOLATION_CHANNELS = 16
# Channels of an attention head, and the number of heads unless the architecture specifies it.
HEAD_CHANNELS = 8
HEADS = 4
# Channels of `MissingDetail`.
DETAIL_CHANNELS = 4
# NumPy's types of the element types that model files use.
TYPES = {"F32": np.float32, "I32": np.int32, "I8": np.int8, "U8": np.uint8}


@dataclasses.dataclass
class Architecture:
    """A network as a value; field names are those of the JSON in model files."""

    task: str
    scale: int
    window: int
    alignment: str
    encoderChannels: int
    channels: int
    blocks: int
    hasMask: bool | None = None
    isConditioned: bool | None = None
    hasSharpness: bool | None = None
    fusion: str | None = None
    heads: int | None = None

    @staticmethod
    def balanced(task, scale=2):
        """The default network of a task: sr and restore are conditioned on their source."""
        if task == "interp":
            return Architecture(task, 1, 2, "block", 32, 64, 4, hasMask=True)
        if task == "denoise":
            return Architecture(task, 1, 7, "block", 16, 64, 4)
        return Architecture(task, scale if task == "sr" else 1, 5, "block", 16, 64, 4, isConditioned=True)

    @staticmethod
    def from_json(text):
        fields = json.loads(text)
        known = {field.name for field in dataclasses.fields(Architecture)}
        if unknown := set(fields) - known:
            raise ValueError(f"architecture with unknown fields {sorted(unknown)}: the lab must learn them first")
        return Architecture(**fields)

    def json(self):
        """Like the program's own: sorted keys, nothing for what is nil."""
        fields = {k: v for k, v in dataclasses.asdict(self).items() if v is not None}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @property
    def conditioned(self):
        return bool(self.isConditioned)

    @property
    def takes_noise(self):
        return self.task == "denoise" or self.conditioned

    @property
    def masked(self):
        return bool(self.hasMask)

    @property
    def attends(self):
        return self.fusion == "attention"

    @property
    def attended_channels(self):
        """Channels of queries, keys and values."""
        return (self.heads or HEADS) * HEAD_CHANNELS

    @property
    def middle(self):
        return self.window // 2

    @property
    def has_neighbour_layer(self):
        return self.window > 1 and self.alignment == "block" and self.task != "interp"

    def slot_channels(self, slot):
        """Channels of the packed input of a window slot."""
        if self.task == "interp":
            return INTERPOLATION_CHANNELS
        if self.alignment == "block" and slot != self.middle:
            return NEIGHBOUR_CHANNELS + self.conditioned
        detail = DETAIL_CHANNELS if self.hasSharpness else 0
        return FRAME_CHANNELS + self.takes_noise + self.conditioned + detail

    @property
    def residual_channels(self):
        return FRAME_CHANNELS * self.scale**2

    @property
    def output_channels(self):
        return self.residual_channels * (2 if self.masked else 1)

    @property
    def luma_channels(self):
        return 4 * self.scale**2

    def layers(self):
        """(name, input channels over all slots, output channels), in the graph's order of layers."""
        encoder, channels = self.encoderChannels, self.channels
        result = [("encoder", self.slot_channels(self.middle), encoder)]
        if self.attends:
            attended = self.attended_channels
            result += [("fusion.centre", encoder, channels), ("fusion.query", encoder, attended),
                       ("fusion.key", encoder, attended), ("fusion.value", encoder, attended),
                       ("fusion.projection", attended, channels)]
        else:
            result.append(("fusion", self.window * encoder, channels))
        if self.has_neighbour_layer:
            result.append(("neighbour", self.slot_channels(0), encoder))
        for block in range(self.blocks):
            result += [(f"body.{block}.{part}", channels, channels) for part in "ab"]
        return result + [("tail", channels, self.output_channels)]

    @property
    def cost(self):
        """Multiply-accumulates for a point of the grid, in layers of 64 -> 64 (L64)."""
        runs = {"neighbour": self.window - 1, "fusion.key": self.window, "fusion.value": self.window}
        if not self.has_neighbour_layer:
            runs["encoder"] = self.window
        attention = 2 * self.window * self.attended_channels if self.attends else 0
        return (sum(runs.get(name, 1) * a * b * 9 for name, a, b in self.layers()) + attention) / (64 * 64 * 9)


def read(path):
    """Tensors by name (NumPy arrays) and metadata of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError(f"{path}: header ends beyond the file")
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def serialized(tensors, metadata):
    """The bytes of a file: names sorted, tensors without gaps, the header a multiple of eight."""
    header, body = {"__metadata__": metadata} if metadata else {}, b""
    names = {np.dtype(kind): name for name, kind in TYPES.items()}
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        bytes_ = array.tobytes()
        header[name] = {"data_offsets": [len(body), len(body) + len(bytes_)], "dtype": names[array.dtype],
                        "shape": list(array.shape)}
        body += bytes_
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(len(text) + 8) % 8)
    return len(text).to_bytes(8, "little") + text + body


def write(path, tensors, metadata):
    """Writes a file at once or not at all."""
    part = f"{path}.part"
    with open(part, "wb") as file:
        file.write(serialized(tensors, metadata))
    os.replace(part, path)


def read_network(path):
    """(architecture, {layer: (weights OIHW, biases)}, recipe) of a full-precision model file."""
    tensors, metadata = read(path)
    architecture = Architecture.from_json(metadata[ARCHITECTURE_KEY])
    layers = {}
    for name, inputs, outputs in architecture.layers():
        weights, biases = tensors[name + ".weight"], tensors[name + ".bias"]
        if weights.dtype != np.float32 or weights.shape != (outputs, inputs, 3, 3) or biases.shape != (outputs,):
            raise ValueError(f"{path}: layer {name} is not the full-precision one of its architecture")
        layers[name] = (weights, biases)
    return architecture, layers, metadata.get(RECIPE_KEY, "")


def write_network(path, architecture, layers, recipe):
    """Writes a full-precision network as the program reads it."""
    tensors = {}
    for name, inputs, outputs in architecture.layers():
        weights, biases = (np.asarray(part, np.float32) for part in layers[name])
        if weights.shape != (outputs, inputs, 3, 3) or not (np.isfinite(weights).all() and np.isfinite(biases).all()):
            raise ValueError(f"layer {name} has a wrong shape or numbers that are none")
        tensors[name + ".weight"], tensors[name + ".bias"] = weights, biases
    write(path, tensors, {ARCHITECTURE_KEY: architecture.json(), RECIPE_KEY: recipe})
