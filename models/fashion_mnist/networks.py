"""The networks that can be trained here, by the name of the --network option."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ..swin import swin_micro
from ..t2t_vit import t2t_vit_micro
from ..vit import vit_micro
from .data import PIXEL_MEAN, PIXEL_STD

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "vit_micro": vit_micro,
    "t2t_vit_micro": t2t_vit_micro,
    "swin_micro": swin_micro,
}
"""Of 10 classes, called as ``NETWORKS[name](norm_layer=...)``."""

BLACK = -PIXEL_MEAN / PIXEL_STD
"""A black pixel, standardised."""


def as_input(network: str, pixels: Tensor) -> Tensor:
    """What a network is given for images (n, 1, 28, 28): T2T-ViT takes 32x32, with a black rim."""
    return F.pad(pixels, (2, 2, 2, 2), value=BLACK) if network == "t2t_vit_micro" else pixels
