"""Sums over tokens, one for each channel, without a tensor for the products.

A product of two large tensors that is written out costs more time in fresh memory than in
arithmetic. On the CPU, the backward of layer normalization sums dy and dy * x over rows in one
pass, as gradients of its bias and weight, and writes nothing else. It adds row after row, so long
inputs are halved, and halved again: that bounds the rounding. A compiler fuses a product into its
sum by itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PART = 2**12
"""Rows summed one after the other."""

GROUP = 16
"""Rows that a compiled sum takes together."""


def sum_and_sum_of_products(a: Tensor, b: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The sums over all axes but the last of a, and of a * b: (C,) and (C,), in `dtype`.

    Args:
        a: (..., C).
        b: of a's shape; may be a itself.
        dtype: at least as wide as those of a and b; what is multiplied and summed in.
    """
    if a.dtype == b.dtype and has_kernel(b, dtype):
        products, totals = _kernel_sums(a, b, 1.0, True)
        return totals, products
    return _sum(a, dtype), _sum(a.to(dtype) * b.to(dtype), dtype)


def mean_of_squares(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The mean over all axes but the last of x * x, (C,), in `dtype`."""
    if has_kernel(x, dtype):
        return _kernel_sums(x, x, 1 / max(1, x.shape[:-1].numel()), False)[0]
    x = x.to(dtype)
    return _sum(x * x, dtype) / x.shape[:-1].numel()


def has_kernel(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether PyTorch's kernels for the CPU can be called on x, and compute in `dtype`."""
    return x.dtype == dtype and x.is_cpu and not torch.compiler.is_compiling()


def _sum(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Over all axes but the last.

    Compiled for the CPU, a sum over rows takes a few channels of all rows, then the next channels,
    and so on: every addition waits for the one before, and in large tensors every step is to
    another page. Rows in groups are read in order, and the groups' sums do not wait.
    """
    rows = x.reshape(-1, x.shape[-1])
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    if not compiled or not x.is_cpu:
        return rows.sum(0, dtype=dtype)
    whole = rows.shape[0] // GROUP * GROUP
    groups = rows[:whole].view(-1, GROUP, rows.shape[1])
    return groups.sum(1, dtype=dtype).sum(0) + rows[whole:].sum(0, dtype=dtype)


def _kernel_sums(a: Tensor, b: Tensor, factor: float, both: bool) -> tuple[Tensor, Tensor]:
    """Of factor * a * b; and of a, if `both`."""
    *leading, channels = a.shape
    rows = math.prod(leading)
    if rows > PART:
        halves = zip(*(x.reshape(rows, channels).tensor_split(2) for x in (a, b)), strict=True)
        first, second = (_kernel_sums(x, y, factor, both) for x, y in halves)
        return first[0] + second[0], first[1] + second[1] if both else first[1]
    mean, inv_std = a.new_zeros(rows), a.new_full((rows,), factor)
    weight = a.new_empty(channels)  # of which the kernel takes no more than the shape
    backward = torch.ops.aten.native_layer_norm_backward.default
    return backward(a, b, weight.shape, mean, inv_std, weight, weight, (False, True, both))[1:]
