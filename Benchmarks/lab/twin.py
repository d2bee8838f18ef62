# SPDX-License-Identifier: Apache-2.0
"""The PyTorch twin of `Architecture.graph`: the same layers, names and arithmetic as the program's float executor.

Inputs are windows of codes; see windows.py. Needs torch and numpy.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import model_file

# Units of a residual for the full range of a sample, and the mask's factor (BlendMask.floatFactor).
UNITS = 255 * 64
MASK_FACTOR = UNITS / 16384


class Twin(nn.Module):
    """A network of an architecture. Takes one tensor a slot, [N, channels, H, W] on the grid, (code - 128) / 255."""

    def __init__(self, architecture):
        super().__init__()
        self.architecture = architecture
        self.convolutions = nn.ModuleDict(
            {name.replace(".", "-"): nn.Conv2d(inputs, outputs, 3, padding=1)
             for name, inputs, outputs in architecture.layers()})

    def layer(self, name):
        return self.convolutions[name.replace(".", "-")]

    def forward(self, frames):
        a = self.architecture
        neighbour = self.layer("neighbour" if a.has_neighbour_layer else "encoder")
        if a.has_neighbour_layer and len(frames) > 2:
            # The neighbours share a layer: one call for all of them.
            others = [frame for slot, frame in enumerate(frames) if slot != a.middle]
            coded = list(neighbour(torch.cat(others)).chunk(len(others)))
            coded.insert(a.middle, self.layer("encoder")(frames[a.middle]))
        else:
            coded = [neighbour(frame) for frame in frames]
        stream = self.fused(coded)
        for block in range(a.blocks):
            inner = self.layer(f"body.{block}.a")(F.relu(stream))
            stream = stream + self.layer(f"body.{block}.b")(F.relu(inner))
        return self.layer("tail")(F.relu(stream))

    def fused(self, coded):
        """The stream of all slots' encodings."""
        if not self.architecture.attends:
            return self.layer("fusion")(F.relu(torch.cat(coded, 1)))
        rectified = [F.relu(coding) for coding in coded]
        centre = rectified[self.architecture.middle]
        joined = torch.cat(rectified)
        keys, values = (self.layer(f"fusion.{name}")(joined).chunk(len(coded)) for name in ("key", "value"))
        attended = attention(self.layer("fusion.query")(centre), keys, values)
        return self.layer("fusion.centre")(centre) + self.layer("fusion.projection")(attended)

    def numbers(self):
        """{layer: (weights, biases)} as NumPy arrays."""
        return {name: tuple(p.detach().float().cpu().clone(memory_format=torch.contiguous_format).numpy() for p in
                            (self.layer(name).weight, self.layer(name).bias))
                for name, _, _ in self.architecture.layers()}

    def load_numbers(self, layers):
        with torch.no_grad():
            for name, (weights, biases) in layers.items():
                self.layer(name).weight.copy_(torch.from_numpy(np.array(weights)))
                self.layer(name).bias.copy_(torch.from_numpy(np.array(biases)))

    def initialize(self, seed):
        """The trainer's random start: uniform in ±1/sqrt(fan-in), quiet last layers; interpolation starts silent."""
        generator = torch.Generator().manual_seed(seed)
        layers = {}
        for name, inputs, outputs in self.architecture.layers():
            bound = (inputs * 9) ** -0.5
            quiet = 0.1 if name.endswith(".b") or name in ("tail", "fusion.projection") else 1.0
            weights = (torch.rand(outputs, inputs, 3, 3, generator=generator) * 2 - 1) * bound * quiet
            biases = (torch.rand(outputs, generator=generator) * 2 - 1) * bound
            if name == "tail":
                biases.zero_()
            if self.architecture.task == "interp":
                if name == "tail":
                    weights.zero_()
                if name == "fusion":
                    biases += 0.25
            layers[name] = (weights.numpy(), biases.numpy())
        self.load_numbers(layers)

    def warm_start(self, old, layers):
        """Takes the weights of another network where layers agree (Sources/Training/WarmStart.swift)."""
        a = self.architecture
        old_outputs = {name: outputs for name, _, outputs in old.layers()}
        mine = self.numbers()
        for name, inputs, outputs in a.layers():
            if name == "fusion.centre" and "fusion" in layers and old.encoderChannels == inputs:
                weights, biases = layers["fusion"]
                if len(weights) == outputs:
                    # The middle slot of a fusing convolution.
                    mine[name] = weights.reshape(outputs, old.window, inputs, 3, 3)[:, old.middle], biases
            if name not in layers:
                continue
            gets_mask = name == "tail" and a.masked and not old.masked
            outputs = outputs // 2 if gets_mask else outputs
            slots, old_slots = (a.window, old.window) if name == "fusion" else (1, 1)
            weights, biases = (np.array(part) for part in mine[name])
            source = layers[name][0].reshape(old_outputs[name], old_slots, -1, 3, 3)
            target = weights.reshape(weights.shape[0], slots, inputs // slots, 3, 3)
            width = source.shape[2]
            if width > target.shape[2] or source.shape[0] != outputs or old_slots > slots:
                continue
            first = (slots - old_slots) // 2
            is_old = np.arange(slots)
            is_old = (is_old >= first) & (is_old < first + old_slots)
            # What is new starts near zero.
            target[:outputs] *= np.where(is_old, 0.3, 0.02).astype(np.float32)[None, :, None, None, None]
            target[:outputs, first:first + old_slots, :width] = source
            biases[:outputs] = layers[name][1]
            mine[name] = (weights, biases)
        self.load_numbers(mine)


def attention(query, keys, values):
    """Weighted sums of the slots' values [N, channels, H, W]: softmax over the slots of the products of query and keys, in
    each head by itself (SlotAttention)."""
    def heads(tensor):
        return tensor.unflatten(1, (-1, model_file.HEAD_CHANNELS))

    scores = torch.stack([(heads(query) * heads(key)).sum(2) for key in keys]) * model_file.HEAD_CHANNELS**-0.5
    weights = scores.softmax(0).unsqueeze(3)
    return (weights * torch.stack([heads(value) for value in values])).sum(0).flatten(1, 2)


def load(path):
    """(twin, recipe) of a full-precision model file."""
    architecture, layers, recipe = model_file.read_network(path)
    network = Twin(architecture)
    network.load_numbers(layers)
    return network, recipe


# MARK: - Windows as tensors


def record_bytes(architecture, height, width):
    """Bytes of a window: the codes of each slot, then the packed ground truth."""
    channels = [architecture.slot_channels(slot) for slot in range(architecture.window)]
    return height * width * (sum(channels) + architecture.residual_channels)


def unpack(records, architecture, height, width):
    """(slots' codes, ground truth), uint8 [N, C, H, W] (channels last), of records [N, record_bytes]."""
    parts, at = [], 0
    sizes = [architecture.slot_channels(slot) for slot in range(architecture.window)]
    for channels in sizes + [architecture.residual_channels]:
        end = at + height * width * channels
        parts.append(records[:, at:end].reshape(-1, height, width, channels).permute(0, 3, 1, 2))
        at = end
    return parts[:-1], parts[-1]


def floats(codes):
    """Networks' inputs of codes."""
    return (codes.float() - 128) * (1 / 255)


def _doubled(plane):
    """BicubicDoubling: [..., H, W] integers to 64 times the samples of twice the extents; exact in 32 bits."""
    def along(values, axis):
        values = values.movedim(axis, -1)
        padded = _edge(values)
        a, b, c, d, e = (padded[..., i:i + values.shape[-1]] for i in range(5))
        even, odd = 111 * c + 29 * b - 9 * d - 3 * a, 111 * c + 29 * d - 9 * b - 3 * e
        return torch.stack((even, odd), -1).flatten(-2).movedim(-1, axis)

    return (along(along(plane, -1), -2) + 128) >> 8


def _edge(values):
    first, last = values[..., :1], values[..., -1:]
    return torch.cat((first, first, values, last, last), -1)


def enlarged(plane, scale):
    """64 times the bicubic enlargement of 8-bit samples by 1, 2 or 4."""
    plane = plane.to(torch.int32)
    if scale == 1:
        return plane * 64
    result = _doubled(plane)
    return result if scale == 2 else (_doubled(result.clamp(0, 65535)) + 32) >> 6


def base(centre, scale):
    """64 times the resampled source of packed codes [N, 6, H, W], packed like a network's residual."""
    luma = enlarged(F.pixel_shuffle(centre[:, :4], 2)[:, 0], scale)
    chroma = enlarged(centre[:, 4:6], scale)
    return torch.cat((F.pixel_unshuffle(luma.unsqueeze(1), 2 * scale), F.pixel_unshuffle(chroma, scale)), 1)


def target(slots, truth, architecture):
    """What the network should give, in units of the full range: the residual, and for a mask what it multiplies."""
    if architecture.task == "interp":
        first, second = (slot[:, :6].to(torch.int32) for slot in slots)
        instant = slots[1][:, 14:15].to(torch.int32)
        wanted = truth.to(torch.int32) * 64 - ((first * (256 - instant) + second * instant + 2) >> 2)
        parts = [wanted] + ([(second - first) * 64] if architecture.masked else [])
        return torch.cat(parts, 1).float() / UNITS
    centre = slots[architecture.middle][:, :6]
    return (truth.to(torch.int32) * 64 - base(centre, architecture.scale)).float() / UNITS


def error(output, wanted, architecture):
    """Differences [N, residual channels, H, W] in units of the full range; masks applied."""
    if not architecture.masked:
        return output - wanted
    residual, mask = output.chunk(2, 1)
    truth, moved = wanted.chunk(2, 1)
    return residual - truth + mask * moved * MASK_FACTOR


def epsilon(architecture):
    """Width of the smooth bottom of the loss (CharbonnierLoss)."""
    return {"interp": 0.04, "denoise": 0.02}.get(architecture.task, 1e-3)


def scales(wanted, architecture, relative):
    """Of each window, the width of the smooth bottom and the factor of the loss (CharbonnierLoss.scale)."""
    before = wanted[:, :architecture.luma_channels].square().mean((1, 2, 3), keepdim=True).sqrt()
    width = torch.full_like(before, epsilon(architecture))
    if architecture.conditioned:
        width = width.maximum(4 * before)
    return width, 0.025 / (before + 0.005) if relative else torch.ones_like(before)


def charbonnier(output, wanted, architecture, relative=False):
    """sqrt(d² + epsilon²), luma's mean plus a quarter of chroma's; with `relative`, each window's loss is divided by the
    window's error before enhancement (CharbonnierLoss)."""
    luma = architecture.luma_channels
    width, factor = scales(wanted, architecture, relative)
    length = (error(output, wanted, architecture).square() + width ** 2).sqrt() * factor
    return length[:, :luma].mean() + 0.25 * length[:, luma:].mean()


def deviations(picture):
    """Standard deviations of luma [N, channels, H, W] in overlapping squares of 2x2 grid points."""
    # Relative to one sample of each square's first point, for the sake of precision.
    corners = [picture[:, :, y:picture.shape[2] - 1 + y, x:picture.shape[3] - 1 + x] for y in (0, 1) for x in (0, 1)]
    square = torch.cat(corners, 1) - corners[0][:, :1].detach()
    return (square.var(1, correction=0) + (0.2 / 255) ** 2).sqrt()


def contrast(output, wanted, base, architecture, relative=False):
    """Half the squared differences in local contrast, in units of `charbonnier` (ContrastLoss). `base` is that of the
    function of this name."""
    luma = architecture.luma_channels
    below = base[:, :luma].float() / UNITS
    difference = deviations(below + output[:, :luma]) - deviations(below + wanted[:, :luma])
    width, factor = scales(wanted, architecture, relative)
    points = output.shape[0] * output.shape[2] * output.shape[3]
    return (difference.square() * (factor / width)[:, 0]).sum() / (2 * points)
