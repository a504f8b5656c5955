"""Second moments over real tokens and their history; a replayed forward is not counted twice."""

from __future__ import annotations

import math
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

    def if_real(self, new: Tensor, old: Tensor | float) -> Tensor:
        """New where the batch has a real token, else old."""
        if isinstance(self.tokens, Tensor):
            return torch.where(self.tokens > 0, new, old)
        return new if self.tokens else torch.as_tensor(old)


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
        if torch.compiler.is_compiling():
            return _traced_median(self.entries, self.counted.clamp(max=last))
        largest = self.entries.topk((last + 1) // 2 + 1, 0).values
        if is_on_host(self.counted):
            middle, two = divmod(min(int(self.counted), last), 2)
            return (largest[middle] + largest[middle + 1]) / 2 if two else largest[middle]
        pair = (self.counted.clamp(max=last) + torch.arange(2, device=largest.device)) // 2
        return largest.index_select(0, pair).mean(0)


def is_on_host(x: Tensor) -> bool:
    """Whether reading x waits for no device; a subclass may have no values at all."""
    return x.is_cpu and type(x) is Tensor


def _traced_median(entries: Tensor, others: Tensor) -> Tensor:
    """The median of `others + 1` entries, the largest of each column.

    A compiler fuses these many small steps into one kernel, where it would call a sort.
    """
    rows = list(torch.where(entries == entries, entries, math.inf).unbind(0))
    count = len(rows) // 2 + 1
    for done in range(count):  # a bubble sort, in descending order
        for k in range(len(rows) - 1, done, -1):
            above, below = rows[k - 1 : k + 1]
            rows[k - 1 : k + 1] = torch.maximum(above, below), torch.minimum(above, below)
    lower, upper = rows[0], rows[0]
    for k in range(1, count):
        lower = torch.where(others // 2 == k, rows[k], lower)
        upper = torch.where((others + 1) // 2 == k, rows[k], upper)
    return (lower + upper) / 2


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
