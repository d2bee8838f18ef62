# SPDX-License-Identifier: Apache-2.0
"""Muon (Jordan et al., 2024) as in Sources/Training/Optimizer.swift: orthogonalized momentum for weights of hidden layers."""
import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalized(matrices):
    """A batch of matrices with the same singular vectors and singular values near 1."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if is_tall else matrices
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-30)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if is_tall else x


class Muon(torch.optim.Optimizer):
    """`size` is the root mean square of a step at rate 1. The momentum is kept as `exp_avg`, like Adam's."""

    def __init__(self, weights, lr, momentum=0.95, size=0.8):
        super().__init__(weights, {"lr": lr, "momentum": momentum, "size": size})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            # Layers of one shape together, which takes a GPU far fewer calls.
            shapes = {}
            for weight in group["params"]:
                shapes.setdefault(weight.shape, []).append(weight)
            for weights in shapes.values():
                self.follow(weights, group)

    def follow(self, weights, group):
        beta = group["momentum"]
        momenta = []
        for weight in weights:
            state = self.state[weight]
            if "exp_avg" not in state:
                state["exp_avg"] = torch.zeros_like(weight)
            momenta.append(state["exp_avg"].lerp_(weight.grad, 1 - beta))
        steps = torch.stack([m.lerp(w.grad, 1 - beta).flatten(1) for m, w in zip(momenta, weights)])
        scale = group["lr"] * group["size"] * max(steps.shape[1:]) ** 0.5
        for weight, step in zip(weights, orthogonalized(steps)):
            weight.sub_(step.reshape(weight.shape), alpha=scale)
