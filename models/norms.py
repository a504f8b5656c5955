"""Norms by name: what every ``--norm`` and ``--norms`` takes, and the baselines among them.

Every entry of `NORMS` is called as ``NORMS[name](dim)``, as the factories' ``norm_layer`` is, and
normalises the last axis. What replaces Layer Normalization elsewhere is here to be compared with:
Batch Normalization over tokens, DyT (arXiv 2503.10622) and Derf (arXiv 2512.10938), which need
nothing but PyTorch: copy them and change them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.nn import UnifiedNorm


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch Normalization of the last axis, over all tokens of all rows."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (..., C)."""
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


class DyT(nn.Module):
    """Dynamic Tanh: tanh(alpha * x) * weight + bias, with one alpha for all channels.

    Args:
        dim: channels of the last axis.
        alpha: where the learned alpha starts.
    """

    def __init__(self, dim: int, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.full((1,), alpha))
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return torch.tanh(self.alpha * x) * self.weight + self.bias


class Derf(DyT):
    """erf(alpha * x + shift) * weight + bias, with one alpha and one shift for all channels.

    Args:
        dim, alpha: as of `DyT`; the shift starts at 0.
    """

    def __init__(self, dim: int, alpha: float = 0.5) -> None:
        super().__init__(dim, alpha)
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return torch.erf(self.alpha * x + self.shift) * self.weight + self.bias


def no_norm(dim: int, **_: Any) -> nn.Module:
    """Nothing, in the place of a norm, whatever its settings."""
    return nn.Identity()


NORMS: dict[str, Callable[..., nn.Module]] = {
    "ln": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "bn": TokenBatchNorm,
    "un": UnifiedNorm,
    "dyt": DyT,
    "derf": Derf,
    "none": no_norm,
}
