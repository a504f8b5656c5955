"""y = scale * x + shift per channel, and the gradients that training it takes."""

from __future__ import annotations

import torch
from torch import Tensor

from un_deploy.nn.channel_sums import has_kernel, sum_and_sum_of_products
from un_deploy.nn.ranks import Ranks

LONG = 2**16
"""Rows above which a kernel that adds one after the other rounds too coarsely."""


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale * x + shift in x's dtype, computed in the wider of the dtypes.

    Args:
        x: (..., C).
        scale, shift: (C,).
    """
    y = torch.addcmul(shift, x, scale)
    # PyTorch 2.11 compiles a cast to the same dtype inside an autograd Function to zero gradients.
    return y if y.dtype == x.dtype else y.to(x.dtype)


def input_gradient(
    dy: Tensor, x: Tensor, scale: Tensor, slope: Tensor, padding_mask: Tensor | None
) -> Tensor:
    """scale * dy - slope * x on real tokens, scale * dy on padding; of x's shape and dtype.

    Args:
        dy, x: (..., C).
        scale: (C,), of the forward.
        slope: (C,), what the statistics' own dependence on x takes away.
        padding_mask: None or bool (...), True where a token is padding.
    """
    if padding_mask is not None:
        x = x.masked_fill(padding_mask.unsqueeze(-1), 0)
    if torch.compiler.is_compiling():
        # Written out together, or a compiler computes them anew for every row.
        scale, slope = torch.stack([scale, slope]).unbind(0)
    return (dy * scale).addcmul_(x, slope, value=-1).to(x.dtype)


def weight_norm_gradients(
    dy: Tensor,
    x: Tensor,
    g: Tensor,
    length: Tensor,
    padding_mask: Tensor | None,
    ranks: Ranks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Of y = g * x / length + shift by x, g and shift, where length is the norm of x's columns.

    That is weight normalization (arXiv 1602.07868), whose backward is one kernel on the CPU.

    Args:
        dy, x: (..., C).
        g: (C,), a constant.
        length: (C,), root of the sum of x * x over real tokens, and of a constant.
        padding_mask: None or bool (...), True where a token is padding.
        ranks: the processes over whose tokens length goes.

    Returns:
        dx of x's shape and dtype; dg and dshift, (C,), in length's dtype, of this process's tokens.
    """
    tokens = x.shape[:-1].numel()
    whole = ranks.alone and padding_mask is None
    one_dtype = x.dtype == dy.dtype == g.dtype
    if whole and one_dtype and tokens <= LONG and has_kernel(x, length.dtype):
        kernel = torch.ops.aten._weight_norm_interface_backward.default
        dx, dg = kernel(dy.contiguous(), x.contiguous(), g, length, x.dim() - 1)
        return dx, dg, dy.sum_to_size(g.shape)
    dshift, products = sum_and_sum_of_products(dy, x, length.dtype)
    dg = products / length
    (everywhere,) = ranks.sum(dg)
    scale = g / length
    return input_gradient(dy, x, scale, scale * everywhere / length, padding_mask), dg, dshift
