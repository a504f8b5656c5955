"""The training rule of the authors' released module, number for number, defects included.

For continuing released checkpoints and for reproducing published results; new trainings do better
with `robust`. Iteration t counts from 1, Mf and Mb are the forward and backward windows, buffers
start as zeros, AM and GM are arithmetic and geometric means, and r is detached:

    x2    = mean over unpadded tokens of x * x
    spread = unbiased variance of all entries of sqrt(buffer_x2), one scalar, before x2 is stored
    buffer_x2[t mod Mf] = x2
    skip  = t >= warmup, filtration is on and in any channel AM - GM of buffer_x2 > spread * Mf;
            then buffer_x2[t mod Mf] = running_var. Always true for Mf = 1.
    var   = x2 if t <= Mf or t < warmup or skip, else GM of buffer_x2
    r     = 1 if t <= max(1000, warmup) or skip,
            else sqrt(var + eps) / sqrt(running_var + eps) within [1/5, 5]
    z     = x / sqrt(var + eps),    y = weight * z + bias
    running_var <- a * running_var + (1 - a) * var

    g     = weight * r * dy,    gz = mean over all tokens of g * z
    buffer_gz[t mod Mb] = ema_gz if skip, else gz
    mean_gz = gz if t <= Mb or t < warmup or skip, else the mean of buffer_gz
    ema_gz <- a * ema_gz + (1 - a) * mean_gz
    dx    = (g - z * (mean_gz if skip else ema_gz)) / sqrt(var + eps)
    dweight = sum of r * z * dy,    dbias = sum of dy

What follows from it: gradients differ from the forward's by r; one scalar spread filters by how
channels differ, not by how a channel changes; a filtered batch still enters running_var; zeros
count in the first windows; half precision overflows and promotes; padding enters gz; the state is
saved by reference, so a module run twice before one backward, or backward run twice, raises;
replayed forwards are counted; two host synchronisations an iteration; no torch.compile or
torch.export without graph breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from un_deploy.errors import InputError
from un_deploy.nn.rule import State, TrainingRule

R_LIMIT = 5.0
R_WARMUP = 1000


@dataclass(frozen=True)
class OfficialRule(TrainingRule):
    """The released module's update; `window_size` may be a pair (forward, backward)."""

    def __post_init__(self) -> None:
        sizes = self.windows
        if len(sizes) != 2 or any(type(size) is not int or size < 1 for size in sizes):
            raise InputError(
                f"window_size must be a whole number of at least 1 or two, not {self.window_size!r}"
            )
        self._check_numbers()

    @property
    def windows(self) -> tuple[int, int]:
        """(Mf, Mb)."""
        pair = self.window_size
        return pair if isinstance(pair, tuple) else (pair, pair)

    def initial_state(self, num_channels: int, device: torch.device | None) -> State:
        forward, backward = self.windows
        return {
            "running_var": torch.ones(num_channels, device=device),
            "ema_gz": torch.zeros(num_channels, device=device),
            "buffer_x2": torch.zeros(forward, num_channels, device=device),
            "buffer_gz": torch.zeros(backward, num_channels, device=device),
            "iters": torch.zeros(1, dtype=torch.int64, device=device),
            "skip_counter": torch.zeros(1, dtype=torch.int64, device=device),
        }

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        if x.dim() not in (2, 3):
            raise InputError(
                f'mode="official" trains on (B, N, C) or (N, C) only, not {tuple(x.shape)}'
            )
        y: Tensor = _Official.apply(x, weight, bias, padding_mask, self, state)
        return y

    def measure(self, x: Tensor, padding_mask: Tensor | None, state: State) -> tuple[Tensor, ...]:
        """std = sqrt(var + eps) and r, both (C,), and skip as a 0-dim bool; updates the state."""
        running_var, buffer, iters = state["running_var"], state["buffer_x2"], state["iters"]
        size, _ = self.windows
        iters += 1
        t = int(iters)
        tokens = x.reshape(-1, x.shape[-1]) if padding_mask is None else x[~padding_mask]
        x2 = self.ranks.mean(tokens * tokens)
        spread = buffer.sqrt().var()
        buffer[t % size] = x2
        skip = size == 1
        if self.outlier_filtration and t >= self.warmup_iters:
            gap = buffer.mean(0) - _geometric_mean(buffer)
            if bool((gap > spread * size).any()):
                buffer[t % size] = running_var
                state["skip_counter"] += 1
                skip = True
        smooth = not (t <= size or t < self.warmup_iters or skip)
        var = _geometric_mean(buffer) if smooth else x2
        std = torch.sqrt(var + self.eps)
        if t <= max(R_WARMUP, self.warmup_iters) or skip:
            r = torch.ones_like(std)
        else:
            r = (std / torch.sqrt(running_var + self.eps)).clamp(1 / R_LIMIT, R_LIMIT)
        running_var.mul_(self.momentum).add_(var, alpha=1 - self.momentum)
        return std, r, torch.tensor(skip)

    def smooth_gradient(
        self, gz: Tensor, skip: bool, t: int, ema_gz: Tensor, buffer_gz: Tensor
    ) -> Tensor:
        """What dx takes along z, (C,); updates ema_gz and buffer_gz."""
        _, size = self.windows
        buffer_gz[t % size] = ema_gz if skip else gz
        smooth = not (t <= size or t < self.warmup_iters or skip)
        mean_gz = buffer_gz.mean(0) if smooth else gz
        ema_gz.mul_(self.momentum).add_(mean_gz, alpha=1 - self.momentum)
        return mean_gz if skip else ema_gz


def _geometric_mean(buffer: Tensor) -> Tensor:
    return buffer.log().mean(0).exp()


class _Official(torch.autograd.Function):
    """Saves the state by reference, as the released module does."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        padding_mask: Tensor | None,
        rule: OfficialRule,
        state: State,
    ) -> Tensor:
        std, r, skip = rule.measure(x, padding_mask, state)
        z = x / std
        ctx.rule = rule
        ctx.save_for_backward(
            z, weight, std, r, skip, state["iters"], state["ema_gz"], state["buffer_gz"]
        )
        return weight * z + bias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        z, weight, std, r, skip, iters, ema_gz, buffer_gz = ctx.saved_tensors
        tokens = tuple(range(dy.dim() - 1))
        g = dy * weight * r
        ranks = ctx.rule.ranks
        # Data parallel training averages gradients over ranks: what is kept is of the average loss.
        gz = ranks.mean((g * z).flatten(0, -2)) / ranks.size
        psi = ctx.rule.smooth_gradient(gz, bool(skip), int(iters), ema_gz, buffer_gz)
        dx = (g - z * psi * ranks.size) / std
        return dx, (dy * r * z).sum(tokens), dy.sum(tokens), None, None, None
