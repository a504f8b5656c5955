"""The training rule as its paper writes it, per channel and without the released module's defects.

arXiv 2208.01313. With s2_t the second moment of batch t over its n real tokens, M the window and
a the momentum:

    var_t = geometric mean of s2_{t-M+1..t}                          (warm-up: s2_t)
    z     = x / sqrt(var_t + eps),    y = weight * z + bias
    g     = weight * dy,    m_t = sum over tokens of g * z / n
    psi_t = a * psi_{t-1} + (1 - a) * mean of m_{t-M+1..t}           (warm-up: of m_t alone)
    dx    = (g - z * psi_t) / sqrt(var_t + eps) on real tokens,    g / sqrt(var_t + eps) on padding
    running_var <- a * running_var + (1 - a) * var_t

Windows hold what has been measured, so they are shorter at first, never filled up with zeros.

Outlier filtration leaves a channel unsmoothed in this iteration, var_t = s2_t and psi_t = m_t,
and keeps it out of running_var and psi, when AM - GM of its window exceeds
M * Var(sqrt(window before this batch)), AM and GM being the arithmetic and geometric mean and
Var unbiased. The paper takes all three of one window, where the inequality never holds; the
window before is the reading that can. An outlier's moment stays in the window, so that a lasting
shift is followed, at the price of lifting the next M - 1 geometric means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from un_deploy.nn.channel_affine import input_gradient, scale_and_shift
from un_deploy.nn.channel_sums import sum_and_sum_of_products
from un_deploy.nn.ranks import Ranks
from un_deploy.nn.rule import State, TrainingRule
from un_deploy.nn.statistics import (
    HISTORY,
    UNSEEN,
    Window,
    is_recomputed,
    second_moment,
    window_ending_with,
)


@dataclass(frozen=True)
class PaperRule(TrainingRule):
    """Smooths moments and their gradients over a window; see the file's docstring."""

    def initial_state(self, num_channels: int, device: torch.device | None) -> State:
        assert isinstance(self.window_size, int)
        length = max(HISTORY, self.window_size)
        return {
            "running_var": torch.ones(num_channels, device=device),
            "history": torch.full((length, num_channels), UNSEEN, device=device),
            "iters": torch.zeros(1, dtype=torch.int64, device=device),
            "psi": torch.zeros(num_channels, device=device),
            "gz_window": torch.zeros(self.window_size, num_channels, device=device),
            "backwards": torch.zeros(1, dtype=torch.int64, device=device),
        }

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        with torch.no_grad():
            batch = self._measure(x, padding_mask, state)
        settings = self.momentum, self.ranks, state
        y: Tensor = _Normalize.apply(x, weight, bias, *batch, padding_mask, *settings)
        return y

    def _measure(
        self, x: Tensor, padding_mask: Tensor | None, state: State
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """1 / sqrt(var + eps), filtered (C,), in warm-up (1,), n (); counts the batch.

        A batch without a real token leaves the state alone and is normalised as in evaluation.
        """
        running_var, history, iters = state["running_var"], state["history"], state["iters"]
        recomputed = is_recomputed()
        moment = second_moment(x, padding_mask, running_var, self.ranks)
        window = window_ending_with(moment.value, history, iters, recomputed)
        warm = window.iteration <= self.warmup_iters
        mean = self._geometric_mean(window)
        filtered = self._is_outlier(window, mean) & ~warm
        var = torch.where(warm | filtered, moment.value, mean)
        if not recomputed:
            moved = torch.lerp(var, running_var.to(var.dtype), self.momentum)
            moved = torch.where(filtered, running_var, moved)
            running_var.copy_(moment.if_real(moved, running_var))
            history.copy_(moment.if_real(window.history, history))
            iters += moment.tokens > 0
        var = moment.if_real(var, running_var)
        tokens = torch.as_tensor(moment.tokens, dtype=var.dtype, device=var.device)
        return (var + self.eps).rsqrt(), filtered, warm, tokens

    def _geometric_mean(self, window: Window) -> Tensor:
        """(C,), over the last M moments, fewer at first."""
        assert isinstance(self.window_size, int)
        return window.entries[-self.window_size :].log().nanmean(0).exp()

    def _is_outlier(self, window: Window, geometric_mean: Tensor) -> Tensor:
        """(C,) bool; False until M moments stand before this one, and for windows of 1."""
        assert isinstance(self.window_size, int)
        if not self.outlier_filtration or self.window_size == 1:
            return torch.zeros_like(geometric_mean, dtype=torch.bool)
        before = window.entries[-self.window_size - 1 : -1]
        arithmetic_mean = window.entries[-self.window_size :].mean(0)
        rounding = 32 * torch.finfo(arithmetic_mean.dtype).eps * arithmetic_mean
        gap = arithmetic_mean - geometric_mean - rounding
        full = window.iteration > self.window_size
        return full & (gap > self.window_size * before.sqrt().var(0))


class _Normalize(torch.autograd.Function):
    """y = weight * x * inv_std + bias; the backward smooths psi over iterations, in the state."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        inv_std: Tensor,
        filtered: Tensor,
        warm: Tensor,
        tokens: Tensor,
        padding_mask: Tensor | None,
        momentum: float,
        ranks: Ranks,
        state: State,
    ) -> Tensor:
        ctx.ranks = ranks
        ctx.bias_dtype, ctx.momentum, ctx.state = bias.dtype, momentum, state
        ctx.before = None
        ctx.save_for_backward(x, weight, inv_std, filtered, warm, tokens, padding_mask)
        return scale_and_shift(x, weight * inv_std, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, inv_std, filtered, warm, tokens, padding_mask = ctx.saved_tensors
        dbias, products = sum_and_sum_of_products(dy, x, inv_std.dtype)
        dweight = products * inv_std
        # Data parallel training averages gradients over ranks, so psi is kept of the average loss.
        ranks = ctx.ranks
        (everywhere,) = ranks.sum(dweight)
        gz = weight * everywhere / (tokens.clamp(min=1) * ranks.size)
        psi = _smooth_psi(ctx, gz, filtered, warm, tokens > 0) * ranks.size
        dx = input_gradient(dy, x, weight * inv_std, psi * inv_std.square(), padding_mask)
        parameters = dweight.to(weight.dtype), dbias.to(ctx.bias_dtype)
        return dx, *parameters, *[None] * 8


def _smooth_psi(ctx: Any, gz: Tensor, filtered: Tensor, warm: Tensor, real: Tensor) -> Tensor:
    """psi for this backward, (C,), from m = gz; 0 for a batch without a real token.

    A second backward through the same forward (retain_graph) starts where the first one did and
    is not counted.
    """
    stored = [ctx.state[name] for name in ("psi", "gz_window", "backwards")]
    first = ctx.before is None
    if first:
        ctx.before = [tensor.clone() for tensor in stored]
    psi, window, backwards = ctx.before
    size = window.shape[0]
    entries = torch.cat([window[1:], torch.where(filtered, psi, gz)[None]])
    valid = (torch.arange(size, device=gz.device) >= size - 1 - backwards).unsqueeze(1)
    mean = torch.where(valid, entries, 0.0).sum(0) / valid.sum(0)
    smooth = torch.lerp(torch.where(warm, gz, mean), psi.to(gz.dtype), ctx.momentum)
    if first:
        after = torch.where(filtered, psi, smooth), entries, backwards + 1
        for old, new in zip(stored, after, strict=True):
            old.copy_(torch.where(real, new, old))
    return torch.where(real, torch.where(filtered, gz, smooth), 0.0)
