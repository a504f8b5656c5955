"""The default training rule: outlier batches are normalised by their own moment and forgotten.

Per channel, with s2 the second moment of this batch over its real tokens, W the last H moments
and s2, M the window, tau = 2:

    K    = those of the last M entries of W with |log((s2_i + eps) / (s2 + eps))| <= log(tau)
    v    = exp(mean over K of log(s2_i + eps))           (warm-up: s2 + eps; no filter: K is all M)
    y    = weight * x / sqrt(v) + bias
    running_var <- a * running_var + (1 - a) * median(W)

The geometric mean is that of Unified Normalization (arXiv 2208.01313); the filter and the median
are ours. The median of nine ignores four outlier batches and takes five for a lasting shift.

The backward is the exact derivative of weight * r * x / sqrt(s2 + eps) + bias with
r = sqrt((s2 + eps) / v) held constant, the way batch renormalization (arXiv 1702.03275) treats
its correction. With g = weight * dy, z = x / sqrt(v) and n the number of real tokens:

    dweight = sum over tokens of dy * z,    psi = weight * dweight / n
    dx      = (g - z * psi * v / (s2 + eps)) / sqrt(v)   on real tokens,    g / sqrt(v) on padding
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from un_deploy.nn.channel_affine import input_gradient, scale_and_shift
from un_deploy.nn.channel_sums import sum_and_sum_of_products
from un_deploy.nn.rule import State, TrainingRule
from un_deploy.nn.statistics import (
    HISTORY,
    Moment,
    Window,
    is_recomputed,
    second_moment,
    window_ending_with,
)

TAU = 2.0
"""Moments further apart than this factor do not smooth each other."""


@dataclass(frozen=True)
class RobustRule(TrainingRule):
    """Smooths only moments that agree; see the file's docstring for the equations."""

    warmup_iters: int = 0
    outlier_filtration: bool = True

    def initial_state(self, num_channels: int, device: torch.device | None) -> State:
        assert isinstance(self.window_size, int)
        length = max(HISTORY, self.window_size)
        return {
            "running_var": torch.ones(num_channels, device=device),
            "history": torch.zeros(length, num_channels, device=device),
            "iters": torch.zeros(1, dtype=torch.int64, device=device),
        }

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        if torch.compiler.is_compiling():
            return self._plain(x, weight, bias, padding_mask, state)
        with torch.no_grad():
            moment = second_moment(x, padding_mask)
            inv_std, share = self._count(moment, state)
        y: Tensor = _Normalize.apply(x, weight, bias, inv_std, share, padding_mask)
        return y

    def _plain(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        """The forward written so that autograd's own derivative is the rule's.

        A compiler makes the same few passes of it as the Function below has, and torch.export
        keeps the gradient, which it loses where a Function has its own.
        """
        moment = second_moment(x, padding_mask)
        with torch.no_grad():
            inv_std, _ = self._count(moment._replace(value=moment.value.detach()), state)
            r = inv_std * (moment.value + self.eps).sqrt()
        own = (moment.value + self.eps).rsqrt()
        scale = weight * moment.if_real(r * own, inv_std)
        return scale_and_shift(x, scale, bias)

    def _count(self, moment: Moment, state: State) -> tuple[Tensor, Tensor]:
        """1 / sqrt(v) and 1 / (s2 + eps) / n, both (C,); counts the batch into `state`.

        A batch without a real token leaves the state alone and is normalised as in evaluation.
        """
        running_var, history, iters = state["running_var"], state["history"], state["iters"]
        recomputed = is_recomputed()
        window = window_ending_with(moment.value, history, iters, recomputed)
        own = moment.value + self.eps
        v = moment.if_real(own * self._smooth(window), running_var + self.eps)
        if not recomputed:
            moved = window.median().lerp(running_var.to(own.dtype), self.momentum)
            running_var.copy_(moment.if_real(moved, running_var))
            history.copy_(moment.if_real(window.entries[1:], history))
            iters += moment.tokens > 0
        return v.rsqrt(), (own * moment.divisor).reciprocal()

    def _smooth(self, window: Window) -> Tensor:
        """v / (s2 + eps), (C,): the geometric mean of the last M moments that agree with s2."""
        assert isinstance(self.window_size, int)
        logs = (window.entries[-self.window_size :] + self.eps).log()
        apart = logs - logs[-1]
        kept = window.valid(self.window_size)
        if self.outlier_filtration:
            kept = kept & (apart.abs() <= math.log(TAU))
        ratio = (torch.where(kept, apart, 0.0).sum(0) / kept.sum(0)).exp()
        if not self.warmup_iters:
            return ratio
        return torch.where(window.iteration <= self.warmup_iters, 1.0, ratio)


class _Normalize(torch.autograd.Function):
    """y = scale * x + bias with scale = weight * inv_std, and the rule's derivative.

    With z = x / sqrt(v), v cancels: dx = scale * (dy - x * (sum of dy * x) * share) with
    share = 1 / (s2 + eps) / n.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        inv_std: Tensor,
        share: Tensor,
        padding_mask: Tensor | None,
    ) -> Tensor:
        scale = weight * inv_std
        ctx.dtypes = weight.dtype, bias.dtype
        ctx.save_for_backward(x, scale, inv_std, share, padding_mask)
        return scale_and_shift(x, scale, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, inv_std, share, padding_mask = ctx.saved_tensors
        total, products = sum_and_sum_of_products(dy, x, inv_std.dtype)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = input_gradient(dy, x, scale, scale * products * share, padding_mask)
        weight, bias = ctx.dtypes
        return dx, (products * inv_std).to(weight), total.to(bias), None, None, None
