"""Sums over tokens, one for each channel, without a tensor for the products where that is large.

A product of two large tensors that is written out costs more time in fresh memory than in
arithmetic. On the CPU, PyTorch's kernel for the backward of batch normalization in inference sums
dy and dy * x in one pass over channel-last data and writes nothing else. It adds row after row,
so long inputs go through it in parts, which are added up pairwise: that bounds the rounding. A
compiler fuses a product into its sum by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

IN_CACHE = 2**19
"""A tensor of as many numbers is written and read again for next to nothing."""

FEW = 2**17
"""Up to as many numbers three simple passes take no longer than to call the kernel."""

PART = 2**12
"""Rows summed one after the other."""


def sum_and_sum_of_products(a: Tensor, b: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The sums over all axes but the last of a, and of a * b: (C,) and (C,), in `dtype`.

    Args:
        a: (..., C).
        b: of a's shape; may be a itself.
        dtype: at least as wide as those of a and b; what is multiplied and summed in.
    """
    rows, others = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    if not _has_kernel(rows, others, dtype, FEW):
        return rows.sum(0, dtype=dtype), (rows.to(dtype) * others.to(dtype)).sum(0)
    zero, one = rows.new_zeros(rows.shape[1]), rows.new_ones(rows.shape[1])
    backward = torch.ops.aten.native_batch_norm_backward
    parts = [
        backward(_image(x), _image(y), one, zero, one, None, None, False, 0.0, [False, True, True])
        for x, y in zip(rows.split(PART), others.split(PART), strict=True)
    ]
    if len(parts) == 1:
        return parts[0][2], parts[0][1]
    products, totals = (torch.stack([part[k] for part in parts]) for k in (1, 2))
    return totals.sum(0), products.sum(0)


def sum_of_squares(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum over all axes but the last of x * x, (C,), in `dtype`."""
    rows = x.reshape(-1, x.shape[-1])
    if not _has_kernel(rows, rows, dtype, IN_CACHE):
        rows = rows.to(dtype)
        return (rows * rows).sum(0)
    return sum_and_sum_of_products(rows, rows, dtype)[1]


def _has_kernel(a: Tensor, b: Tensor, dtype: torch.dtype, above: int) -> bool:
    """Whether the kernel takes these, and they are more numbers than it is worth calling for."""
    if torch.compiler.is_compiling() or a.device.type != "cpu":
        return False
    return a.dtype == b.dtype == dtype and a.numel() > above


def _image(rows: Tensor) -> Tensor:
    """(N, C) -> (1, C, N, 1), channel last in memory: a view where the rows are contiguous."""
    return rows.contiguous()[None, :, None].permute(0, 3, 1, 2)
