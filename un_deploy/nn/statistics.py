"""Second moments over real tokens, their history, and the rule that a replay is not counted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.module_tracker import ModuleTracker

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
        tokens: number of real tokens, 0-dim, in the same dtype.
    """

    value: Tensor
    tokens: Tensor


def second_moment(x: Tensor, padding_mask: Tensor | None) -> Moment:
    """Mean over the real tokens of x squared, per channel.

    Args:
        x: (..., C).
        padding_mask: None or bool (...), True where a token is padding. What padding holds, a NaN
            included, has no effect.
    """
    dtype = statistics_dtype(x)
    if padding_mask is None:
        tokens = torch.full((), x.shape[:-1].numel(), dtype=dtype, device=x.device)
    else:
        x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
        tokens = (~padding_mask).sum(dtype=dtype)
    rows = x.reshape(-1, x.shape[-1]).to(dtype)
    return Moment((rows * rows).sum(0) / tokens.clamp(min=1), tokens)


class Window(NamedTuple):
    """The moments up to one iteration, oldest first.

    Attributes:
        entries: (H + 1, C), the iteration's own moment last.
        valid: (H + 1, 1) bool, False for slots that no iteration has filled yet.
        iteration: the iteration's number, 1-dim of length 1; the first is 1.
    """

    entries: Tensor
    valid: Tensor
    iteration: Tensor


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
    slots = torch.arange(length + 1, device=history.device)
    history = history.to(moment.dtype)
    if recomputed:
        newest_first = (history - moment).abs().sum(1).flip(0)
        age = newest_first.argmin()
        slots = slots - age - 1
        entries = torch.cat([history[slots[:-1].clamp(min=0)], moment[None]])
        iteration = iters - age
    else:
        entries = torch.cat([history, moment[None]])
        iteration = iters + 1
    valid = (slots >= length - iters).logical_and(slots >= 0)
    return Window(entries, valid.unsqueeze(1), iteration)
