# SPDX-License-Identifier: Apache-2.0
"""Reference for `videnhance bench training`: the same network and step in PyTorch (bf16 autocast, channels_last).

Usage: python3 training_step.py [--threads 2] [--rounds 5]; prints seconds per step of a batch of 8 windows, median.
"""
import argparse
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=15)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv(64, 64), conv(64, 64)

    def forward(self, x):
        return x + self.b(F.relu(self.a(F.relu(x))))


class Network(nn.Module):
    """The balanced sr x2 network: window of 5, encoders of 16 channels, 4 blocks of 64."""

    def __init__(self):
        super().__init__()
        self.encoder, self.neighbour, self.fusion = conv(6, 16), conv(38, 16), conv(80, 64)
        self.body = nn.Sequential(*[Block() for _ in range(4)])
        self.tail = conv(64, 24)

    def forward(self, frames):
        encodings = [(self.encoder if i == 2 else self.neighbour)(f) for i, f in enumerate(frames)]
        stream = self.fusion(F.relu(torch.cat(encodings, 1)))
        return self.tail(F.relu(self.body(stream)))


network = Network().to(memory_format=torch.channels_last)
optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
frames = [
    torch.rand(8, 6 if i == 2 else 38, 48, 48).sub(0.5).to(memory_format=torch.channels_last) for i in range(5)
]
target = torch.rand(8, 24, 48, 48).to(memory_format=torch.channels_last) * 0.1
seconds = []
for _ in range(args.rounds + 3):
    began = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(frames)
    difference = output.float() - target
    distance = (difference.square() + 1e-6).sqrt()
    loss = distance[:, :16].mean() + 0.25 * distance[:, 16:].mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.5)
    optimiser.step()
    seconds.append(time.perf_counter() - began)
print(f"pytorch {torch.__version__}, {args.threads} threads: {statistics.median(seconds[3:]) * 1e3:.1f} ms a step")
