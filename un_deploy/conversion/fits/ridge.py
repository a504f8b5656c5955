"""A linear layer fitted anew in closed form, by ridge regression around its own weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

RIDGES = (1e-1, 1e-2, 1e-3)
"""Tried strengths, relative to the mean square of the inputs' deviations."""


class LinearFit:
    """Gathers sums, and gives weights that bring a linear layer's output nearer to what is wanted.

    With X the inputs less their mean and R what the layer lacks less its mean, the step is
    ``(X'X / n + ridge * m I)^-1 X'R / n``, m the mean of the diagonal of X'X / n; float64.
    """

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer
        device = layer.weight.device
        inputs, outs = layer.in_features, layer.out_features
        self.count = 0
        self.x = torch.zeros(inputs, dtype=torch.float64, device=device)
        self.r = torch.zeros(outs, dtype=torch.float64, device=device)
        self.xx = torch.zeros(inputs, inputs, dtype=torch.float64, device=device)
        self.xr = torch.zeros(inputs, outs, dtype=torch.float64, device=device)
        self.rr = 0.0

    def add(self, x: Tensor, lacks: Tensor) -> None:
        """Count tokens: x (tokens, in) and what the output lacks (tokens, out)."""
        x, lacks = x.double(), lacks.double()
        self.count += len(x)
        self.x += x.sum(0)
        self.r += lacks.sum(0)
        self.xx += x.T @ x
        self.xr += x.T @ lacks
        self.rr += float(lacks.square().sum())

    def step(self, ridge: float) -> tuple[Tensor, Tensor]:
        """What to add to weight (out, in) and bias (out), float64."""
        x, r = self.x / self.count, self.r / self.count
        second = self.xx / self.count - torch.outer(x, x)
        cross = self.xr / self.count - torch.outer(x, r)
        strength = ridge * second.diagonal().mean() + torch.finfo(torch.float64).tiny
        weight = torch.linalg.solve(second + strength * torch.eye(len(x)).to(second), cross).T
        bias = r - weight @ x
        return weight, bias if self.layer.bias is not None else torch.zeros_like(bias)

    def squares(self, step: tuple[Tensor, Tensor] | None) -> float:
        """The mean square of what the output lacks after a step, on these tokens."""
        if step is None:
            return self.rr / self.count
        weight, bias = step
        left = (
            self.rr
            - 2 * float((weight.T * self.xr).sum() + bias @ self.r)
            + float((weight @ self.xx * weight).sum())
            + 2 * float(bias @ (weight @ self.x))
            + self.count * float(bias @ bias)
        )
        return left / self.count


def best_step(
    calibration: LinearFit, heldout: LinearFit, ridges: Iterable[float] = RIDGES
) -> tuple[Tensor, Tensor] | None:
    """The step of the ridge that lacks least on held-out tokens, None where none helps there."""
    best, least = None, heldout.squares(None)
    for ridge in ridges:
        step = calibration.step(ridge)
        if (square := heldout.squares(step)) < least:
            best, least = step, square
    return best


def apply(layer: nn.Linear, step: tuple[Tensor, Tensor]) -> None:
    """Add a step to the layer's weight and bias."""
    with torch.no_grad():
        layer.weight.add_(step[0].to(layer.weight.dtype))
        if layer.bias is not None:
            layer.bias.add_(step[1].to(layer.bias.dtype))
