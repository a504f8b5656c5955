"""The default training rule: outlier batches are normalised by their own moment and forgotten.

Per channel, with s2 the second moment of this batch over its real tokens, W the last H moments
and s2, M the window, tau = 2:

    K    = those of the last M entries of W with |log((s2_i + eps) / (s2 + eps))| <= log(tau)
    v    = exp(mean over K of log(s2_i + eps))           (warm-up: s2 + eps; no filter: K is all M)
    y    = weight * x / sqrt(v) + bias
    running_var <- a * running_var + (1 - a) * median(W)

x has its outlier tokens scaled down before (`outlier_tokens`), by factors that the derivative holds
constant; where there are none it is what was given.

The geometric mean is that of Unified Normalization (arXiv 2208.01313); the filter and the median
are ours. The median of nine ignores four outlier batches and takes five for a lasting shift.

The backward is the exact derivative of weight * r * x / sqrt(s2 + eps) + bias with
r = sqrt((s2 + eps) / v) held constant, the way batch renormalization (arXiv 1702.03275) treats
its correction. With g = weight * dy, z = x / sqrt(v) and n the number of real tokens:

    dweight = sum over tokens of dy * z,    psi = weight * dweight / n
    dx      = (g - z * psi * v / (s2 + eps)) / sqrt(v)   on real tokens,    g / sqrt(v) on padding
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from un_deploy.nn.channel_affine import scale_and_shift, weight_norm_gradients
from un_deploy.nn.outlier_tokens import without_outliers
from un_deploy.nn.ranks import Ranks
from un_deploy.nn.rule import State, TrainingRule
from un_deploy.nn.statistics import (
    HISTORY,
    UNSEEN,
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
            "history": torch.full((length, num_channels), UNSEEN, device=device),
            "iters": torch.zeros(1, dtype=torch.int64, device=device),
        }

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        x = self.spared(x, padding_mask)
        if torch.compiler.is_exporting():
            return self._exported(x, weight, bias, padding_mask, state)
        moment = second_moment(x.detach(), padding_mask, state["running_var"], self.ranks)
        std, r = self._count(moment, state)
        length = std * moment.divisor**0.5
        y: Tensor = Normalize.apply(x, weight, bias, length, r / std, padding_mask, self.ranks)
        return y

    def spared(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        """What is normalised in the place of x: x with its outlier tokens scaled down."""
        return without_outliers(x, padding_mask)

    def _exported(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        """The forward written so that autograd's own derivative is the rule's.

        torch.export keeps that gradient; of a Function it keeps the forward alone.
        """
        moment = second_moment(x, padding_mask, state["running_var"], self.ranks)
        _, r = self._count(moment._replace(value=moment.value.detach()), state)
        scale = weight * r * (moment.value + self.eps).rsqrt()
        return scale_and_shift(x, scale, bias)

    def _count(self, moment: Moment, state: State) -> tuple[Tensor, Tensor]:
        """sqrt(s2 + eps) and r, both (C,); counts the batch into `state`.

        A batch without a real token leaves the state alone and is normalised as in evaluation.
        """
        running_var, history, iters = state["running_var"], state["history"], state["iters"]
        recomputed = is_recomputed()
        window = window_ending_with(moment.value, history, iters, recomputed)
        std, r = self._smooth(window)
        if not recomputed:
            median = window.median().to(running_var.dtype)
            running_var.lerp_(moment.if_real(median, running_var), 1 - self.momentum)
            history.copy_(moment.if_real(window.history, history))
            iters += moment.tokens > 0
        return std, moment.if_real(r, 1.0)

    def _smooth(self, window: Window) -> tuple[Tensor, Tensor]:
        """What `_count` returns, from the last M moments that agree with the newest."""
        assert isinstance(self.window_size, int)
        stds = (window.entries[-self.window_size :] + self.eps).sqrt()
        std = stds[-1]
        ratios = std / stds
        if self.outlier_filtration:
            kept = ratios == ratios.clamp(TAU**-0.5, TAU**0.5)
        else:
            kept = ratios >= 0  # all that hold a moment
        logs = torch.where(kept, ratios, 1.0).log()
        r = (logs.sum(0) / kept.sum(0, dtype=logs.dtype)).exp()
        if self.warmup_iters:
            r = torch.where(window.iteration <= self.warmup_iters, 1.0, r)
        return std, r


class Normalize(torch.autograd.Function):
    """y = g * x / length + bias with length = sqrt(n * (s2 + eps)), and g held constant.

    g = weight * sqrt(n) * r, so this is `RobustRule`'s forward and derivative.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        length: Tensor,
        inv_std: Tensor,
        padding_mask: Tensor | None,
        ranks: Ranks,
    ) -> Tensor:
        scale = weight * inv_std
        ctx.ranks = ranks
        ctx.save_for_backward(x, scale, length, inv_std, padding_mask)
        return scale_and_shift(x, scale, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, length, inv_std, padding_mask = ctx.saved_tensors
        g = scale * length
        dx, dg, dbias = weight_norm_gradients(dy, x, g, length, padding_mask, ctx.ranks)
        return dx, dg * length * inv_std, dbias, None, None, None, None
