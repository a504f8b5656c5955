"""The norms that can be trained here, by the name of the --norm option."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from un_deploy.nn import UnifiedNorm

from .. import norms

OFFICIAL_WARMUP = 328
"""A tenth of the protocol's 3,283 steps; the released default, 4,000, would outlast them."""

NORMS: dict[str, Callable[..., nn.Module]] = {
    **norms.NORMS,
    "un-scaled": UnifiedNorm,
    "un-official": partial(
        UnifiedNorm, mode="official", warmup_iters=OFFICIAL_WARMUP, outlier_filtration=True
    ),
}
"""All of models/norms.py, and Unified Normalization by the released module's rule.

"un" and "un-scaled" are one norm: the kept logs and the checkpoint named "un" are of robust mode
before it scaled outlier tokens down, those named "un-scaled" of the mode as it is.
"""
