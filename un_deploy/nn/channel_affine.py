"""y = scale * x + shift per channel, and the gradients that training it takes."""

from __future__ import annotations

import torch
from torch import Tensor


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale * x + shift in x's dtype, computed in the wider of the dtypes.

    Args:
        x: (..., C).
        scale: (C,).
        shift: (C,).
    """
    y = torch.addcmul(shift, x, scale)
    # PyTorch 2.11 compiles a cast to the same dtype inside an autograd Function to zero gradients.
    return y if y.dtype == x.dtype else y.to(x.dtype)


def input_gradient(
    dy: Tensor, x: Tensor, scale: Tensor, slope: Tensor, padding_mask: Tensor | None
) -> Tensor:
    """scale * dy - slope * x on real tokens, scale * dy on padding; of x's shape and dtype.

    Args:
        dy: (..., C).
        x: (..., C).
        scale: (C,), of the forward.
        slope: (C,), what the statistics' own dependence on x takes away.
        padding_mask: None or bool (...), True where a token is padding.
    """
    if padding_mask is not None:
        x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
    return (dy * scale).addcmul_(x, slope, value=-1).to(x.dtype)
