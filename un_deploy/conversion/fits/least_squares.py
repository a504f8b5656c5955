"""The affine per channel that comes nearest to a LayerNorm, by least squares."""

from __future__ import annotations

import torch
from torch import Tensor

from un_deploy.errors import InputError


class ChannelFit:
    """Gathers sums over tokens, and gives scale and shift of y = scale * x + shift.

    The sums are float64: scale = cov(x, y) / var(x) and shift = mean(y) - scale * mean(x), which
    leaves the least mean of squares in each channel. A channel whose input does not vary gets
    scale 0, whatever its output was; where it goes to the shift.
    """

    def __init__(self, channels: int, device: torch.device) -> None:
        self.tokens = 0
        self.sums = torch.zeros(5, channels, dtype=torch.float64, device=device)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Count tokens.

        Args:
            x, y: (tokens, C), the input of the affine and what it is to give.
        """
        x, y = x.double(), y.double()
        self.tokens += len(x)
        self.sums += torch.stack(
            [x.sum(0), y.sum(0), (x * x).sum(0), (x * y).sum(0), (y * y).sum(0)]
        )

    def require_tokens(self, name: str) -> None:
        """Refuse a fit to nothing.

        Raises:
            InputError: no token was counted; it names the norm.
        """
        if not self.tokens:
            raise InputError(f"no token of the data that is not padding reached the norm {name}")

    @property
    def second_moment(self) -> Tensor:
        """Mean of x squared, (C,) float64."""
        return self.sums[2] / self.tokens

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift, (C,) float64."""
        x, y, xx, xy, _ = self.sums / self.tokens
        variance = xx - x * x
        varies = variance > 1e-12 * xx
        scale = torch.where(varies, (xy - x * y) / torch.where(varies, variance, 1.0), 0.0)
        return scale, y - scale * x

    def unexplained(self) -> float:
        """The part of y's variance over tokens that no affine per channel gives, 0 to 1."""
        x, y, xx, xy, yy = self.sums / self.tokens
        variance, wanted = xx - x * x, yy - y * y
        explained = torch.where(variance > 1e-12 * xx, (xy - x * y) ** 2 / variance, 0.0)
        return float(1 - explained.sum() / wanted.sum())
