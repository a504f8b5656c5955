"""The norms that the training protocol compares, by the name of the --norm option."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from un_deploy.nn import UnifiedNorm

OFFICIAL_WARMUP = 328
"""A tenth of the protocol's 3,283 steps; the released default, 4,000, would outlast them."""


class TokenBatchNorm(nn.BatchNorm1d):
    """Batch Normalization of the last axis, over all tokens of all images."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (..., C)."""
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "ln": nn.LayerNorm,
    "bn": TokenBatchNorm,
    "un": UnifiedNorm,
    "un-official": partial(
        UnifiedNorm, mode="official", warmup_iters=OFFICIAL_WARMUP, outlier_filtration=True
    ),
}
