"""A LayerNorm that fades into the fixed scale and shift that it comes nearest to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from un_deploy.conversion.fits.fixed_affine import set_affine
from un_deploy.conversion.fits.least_squares import ChannelFit
from un_deploy.errors import InputError
from un_deploy.nn import UnifiedNorm

_MEMORY = 0.98
"""Weight of the batches before in the running averages that the affine is fitted to."""


class FadingNorm(nn.Module):
    """gate * LayerNorm(x) + (1 - gate) * (scale * x + shift), as TaperNorm (arXiv 2602.10408).

    At gate 1 it is the LayerNorm, and in training mode keeps running averages of its input and
    output. When the gate leaves 1, scale and shift are fitted to them, and train from there on.
    At gate 0 it is the scale and shift alone. The averages count every token, padding too.

    Args:
        norm: stays in it until the end.
        unified: of as many channels; it holds scale and shift.
    """

    averages: Tensor

    def __init__(self, norm: nn.Module, unified: UnifiedNorm) -> None:
        super().__init__()
        self.norm = norm
        self.unified = unified
        unified.frozen = True  # an affine in training too: no statistics of a batch
        self.gate = 1.0
        self.register_buffer("averages", torch.zeros(6, unified.num_channels, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C), or the norm's own layout."""
        if self.gate <= 0:
            return self.unified(x)
        y: Tensor = self.norm(x)
        if self.gate >= 1:
            if self.training:
                self._count(x.detach(), y.detach())
            return y
        return self.gate * y + (1 - self.gate) * self.unified(x)

    def fade_to(self, gate: float) -> None:
        """Set the gate; the first one below 1 fits scale and shift.

        Raises:
            InputError: it has seen no batch in training mode yet.
        """
        if self.gate >= 1 > gate:
            self._fit()
        self.gate = gate

    def _count(self, x: Tensor, y: Tensor) -> None:
        axis = 1 if self.unified.channel_first else -1
        rows = [t.movedim(axis, -1).flatten(0, -2).double() for t in (x, y)]
        if not len(rows[0]):
            return
        fit = ChannelFit(self.unified.num_channels, x.device)
        fit.add(*rows)
        now = torch.cat([torch.ones_like(fit.sums[:1]), fit.sums / fit.tokens])
        self.averages.mul_(_MEMORY).add_(now, alpha=1 - _MEMORY)

    def _fit(self) -> None:
        weight, sums = self.averages[0], self.averages[1:]
        if not bool(weight[0] > 0):
            raise InputError("a norm fades only after batches in training mode: call step() later")
        fit = ChannelFit(self.unified.num_channels, sums.device)
        fit.tokens, fit.sums = 1, sums / weight
        set_affine(self.unified, fit)

    def extra_repr(self) -> str:
        return f"gate={self.gate:.3f}"
