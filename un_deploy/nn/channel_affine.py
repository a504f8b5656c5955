"""y = scale * x + shift per channel, and the gradients that training it takes."""

from __future__ import annotations

import torch
from torch import Tensor

from un_deploy.nn.channel_sums import sum_and_sum_of_products


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


def parameter_gradients(dy: Tensor, x: Tensor, inv_std: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over tokens of dy * z, and of dy, both (C,) in the statistics' dtype; z = x * inv_std."""
    total, products = sum_and_sum_of_products(dy, x, inv_std.dtype)
    return products * inv_std, total


def input_gradient(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    inv_std: Tensor,
    psi: Tensor,
    padding_mask: Tensor | None,
) -> Tensor:
    """(weight * dy - z * psi) * inv_std, of x's shape and dtype; padding has no share in psi.

    Args:
        dy: (..., C).
        x: (..., C); z = x * inv_std.
        weight: (C,).
        inv_std: (C,).
        psi: (C,), the mean over tokens of weight * dy * z that the rule takes away.
        padding_mask: None or bool (...), True where a token is padding.
    """
    if padding_mask is not None:
        x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
    dx = dy * (weight * inv_std)
    return dx.addcmul_(x, psi * inv_std.square(), value=-1).to(x.dtype)
