"""Second moments over real tokens, their history, and the rule that a replay is not counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.module_tracker import ModuleTracker

from un_deploy.nn.channel_sums import mean_of_squares

HISTORY = 8
"""Raw second moments kept when the window asks for no more."""

EMPTY = torch.finfo(torch.float32).min
"""Stands in a history where no iteration has left a moment yet: its root and logarithm are NaN."""

_tracker = ModuleTracker()


def is_recomputed() -> bool:
    """Whether this forward replays an earlier one, as activation checkpointing does.

    A replay runs while autograd walks back; `ModuleTracker.is_bw` is PyTorch's public way to ask.
    A compiler replays without Python, so a traced forward is always a first one.
    """
    return not torch.compiler.is_compiling() and bool(_tracker.is_bw)


def statistics_dtype(x: Tensor) -> torch.dtype:
    """float32, or float64 for float64 inputs: squares of float16 overflow above 256."""
    return torch.promote_types(x.dtype, torch.float32)


class Moment(NamedTuple):
    """Mean of x squared over the real tokens.

    Attributes:
        value: (C,) in the statistics' dtype.
        tokens: number of real tokens; with a padding mask a 0-dim tensor of that dtype, which the
            host does not know.
        divisor: n, the same but at least 1.
    """

    value: Tensor
    tokens: Tensor | int
    divisor: Tensor | int

    def if_real(self, new: Tensor, old: Tensor) -> Tensor:
        """New where the batch has a real token, else old."""
        if isinstance(self.tokens, Tensor):
            return torch.where(self.tokens > 0, new, old)
        return new if self.tokens else old


def second_moment(x: Tensor, padding_mask: Tensor | None, otherwise: Tensor) -> Moment:
    """Mean over the real tokens of x squared, per channel.

    Args:
        x: (..., C).
        padding_mask: None or bool (...), True where a token is padding. What padding holds, a NaN
            included, has no effect.
        otherwise: (C,), taken for the moment where there is no real token.
    """
    dtype = statistics_dtype(x)
    tokens = x.shape[:-1].numel()
    if padding_mask is None:
        value = mean_of_squares(x, dtype) if tokens else otherwise
        return Moment(value, tokens, max(1, tokens))
    real = (~padding_mask).sum(dtype=dtype)
    some = real.clamp(min=1)
    x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
    value = mean_of_squares(x, dtype) * (tokens / some)
    return Moment(torch.where(real > 0, value, otherwise), real, some)


class Window(NamedTuple):
    """The moments up to one iteration, oldest first.

    Attributes:
        entries: (H + 1, C), the iteration's own moment last; EMPTY where there was none yet.
        counted: (1,) int64, iterations before this one.
    """

    entries: Tensor
    counted: Tensor

    @property
    def iteration(self) -> Tensor:
        """The iteration's number, (1,); the first is 1."""
        return self.counted + 1

    def median(self) -> Tensor:
        """Over the entries that hold a moment, (C,); of an even number, the mean of the middle two.

        Moments are not negative, so the others come last in descending order.
        """
        last = self.entries.shape[0] - 1
        largest = _largest(self.entries, (last + 1) // 2 + 1)
        if _is_on_host(self.counted):
            middle, two = divmod(min(int(self.counted), last), 2)
            return (largest[middle] + largest[middle + 1]) / 2 if two else largest[middle]
        others = self.counted.clamp(max=last)
        return (_pick(largest, others // 2) + _pick(largest, (others + 1) // 2)) / 2


def _largest(entries: Tensor, count: int) -> Sequence[Tensor]:
    """The largest of every column in descending order, `count` times (C,); NaN comes first.

    A compiler fuses a bubble sort with what comes before and after it, where it can only call topk.
    """
    if not torch.compiler.is_compiling():
        return entries.topk(count, 0).values.unbind(0)
    rows = list(torch.where(entries == entries, entries, math.inf).unbind(0))
    for done in range(count):
        for k in range(len(rows) - 1, done, -1):
            above, below = rows[k - 1 : k + 1]
            rows[k - 1 : k + 1] = torch.maximum(above, below), torch.minimum(above, below)
    return rows[:count]


def _pick(rows: Sequence[Tensor], index: Tensor) -> Tensor:
    """rows[index] for an index that only the device knows."""
    picked = rows[0]
    for k in range(1, len(rows)):
        picked = torch.where(index == k, rows[k], picked)
    return picked


def _is_on_host(x: Tensor) -> bool:
    """Whether x's values are there to read, without waiting for a device or breaking a trace."""
    return x.is_cpu and type(x) is Tensor and not torch.compiler.is_compiling()


def window_ending_with(moment: Tensor, history: Tensor, iters: Tensor, recomputed: bool) -> Window:
    """The history as it stood when `moment` (C,) was measured, and `moment`.

    A replayed forward finds its own entry in the history, the latest that resembles `moment` most,
    and reads what stood before it, so that it repeats its first run even where later forwards
    have been counted meanwhile (at most H - M of them for a window of M).

    Args:
        moment: (C,).
        history: (H, C), oldest first.
        iters: (1,), iterations counted so far.
        recomputed: whether `history` already holds `moment`.
    """
    if not recomputed:
        return Window(torch.cat([history, moment[None]]), iters)
    age = (history - moment).abs().sum(1).flip(0).argmin()
    slots = torch.arange(len(history), device=history.device) - age - 1
    before = history[slots.clamp(min=0)].masked_fill((slots < 0).unsqueeze(1), EMPTY)
    return Window(torch.cat([before, moment[None]]), iters - age - 1)
