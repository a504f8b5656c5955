"""Second moments over real tokens, their history, and the rule that a replay is not counted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.module_tracker import ModuleTracker

from un_deploy.nn.channel_sums import sum_of_squares

HISTORY = 8
"""Raw second moments kept when the window asks for no more."""

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
        value: (C,) in the statistics' dtype; 0 where there is no real token.
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


def second_moment(x: Tensor, padding_mask: Tensor | None) -> Moment:
    """Mean over the real tokens of x squared, per channel.

    Args:
        x: (..., C).
        padding_mask: None or bool (...), True where a token is padding. What padding holds, a NaN
            included, has no effect.
    """
    dtype = statistics_dtype(x)
    if padding_mask is None:
        tokens = x.shape[:-1].numel()
        n = max(1, tokens)
        return Moment(sum_of_squares(x, dtype) / n, tokens, n)
    real = (~padding_mask).sum(dtype=dtype)
    some = real.clamp(min=1)
    x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
    return Moment(sum_of_squares(x, dtype) / some, real, some)


class Window(NamedTuple):
    """The moments up to one iteration, oldest first.

    Attributes:
        entries: (H + 1, C), the iteration's own moment last.
        filled: (1,) int64, how many entries before the last one hold a moment, or more if all do;
            they stand next to it. Those that no iteration has filled yet are 0.
        counted: (1,) int64, iterations before this one.
    """

    entries: Tensor
    filled: Tensor
    counted: Tensor

    @property
    def iteration(self) -> Tensor:
        """The iteration's number, (1,); the first is 1."""
        return self.counted + 1

    def valid(self, last: int) -> Tensor:
        """Which of the last entries hold a moment, (last, 1) bool."""
        age = torch.arange(last - 1, -1, -1, device=self.filled.device)
        return (age <= self.filled).unsqueeze(1)

    def median(self) -> Tensor:
        """Over the entries that hold a moment, (C,); of an even number, the mean of the middle two.

        Moments are not negative, so the others come last in descending order.
        """
        filled = self.filled.clamp(max=self.entries.shape[0] - 1)
        middle = (filled + torch.arange(2, device=filled.device)) // 2
        return self.entries.sort(0, descending=True).values[middle].mean(0)


def window_ending_with(moment: Tensor, history: Tensor, iters: Tensor, recomputed: bool) -> Window:
    """The history as it stood when `moment` (C,) was measured, and `moment`.

    A replayed forward finds its own entry in the history, the latest that resembles `moment` most,
    and reads what stood before it, so that it repeats its first run even where later forwards
    have been counted meanwhile (at most H - M of them for a window of M).

    Args:
        moment: (C,).
        history: (H, C), oldest first.
        iters: (1,), iterations counted so far; the last min(iters, H) entries are valid.
        recomputed: whether `history` already holds `moment`.
    """
    length = history.shape[0]
    history = history.to(moment.dtype)
    if not recomputed:
        return Window(torch.cat([history, moment[None]]), iters, iters)
    age = (history - moment).abs().sum(1).flip(0).argmin()
    slots = torch.arange(length, device=history.device) - age - 1
    before = history[slots.clamp(min=0)].masked_fill((slots < 0).unsqueeze(1), 0)
    filled = (iters.clamp(max=length) - age - 1).clamp(min=0)
    return Window(torch.cat([before, moment[None]]), filled, iters - age - 1)
