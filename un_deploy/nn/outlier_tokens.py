"""Scales tokens down that have exploded, so that they do not spend their batch.

A token's size is the norm of its channels, root of the sum of squares. Usual is the median over the
sequences of a batch of the largest size in each: a token that is large in every sequence, as a
class token may be, is usual, and a few sequences with an outlier move no median. Which axis holds
the sequences is not known, so the same is taken the other way round too, the median over positions
of the largest size at each, and the larger of the two is usual. Nothing is remembered.
"""

from __future__ import annotations

import torch
from torch import Tensor

from un_deploy.nn.statistics import is_on_host, statistics_dtype

LIMIT = 2.0
"""A token of more than this many times the usual size is an outlier."""

TARGET = 0.5
"""How many times the usual size it is scaled to."""


def without_outliers(x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """x with its outliers scaled down; x itself where there are none.

    The derivative holds the factors constant. Values are read on the host only where they lie
    there, to save a multiplication by 1.

    Args:
        x: (sequences, positions, ..., C) or (positions, sequences, C), floating point. A single
            sequence, or a matrix (tokens, C), has nothing to be compared with and stays.
        padding_mask: None or bool of shape x.shape[:-1], True where a token is padding: it stays,
            and has no share in what is usual.
    """
    if x.dim() < 3 or not x.numel():
        return x
    with torch.no_grad():
        sizes = torch.linalg.vector_norm(x, dim=-1, dtype=statistics_dtype(x))
        if padding_mask is not None:
            sizes = sizes.masked_fill(padding_mask, 0)
        on_host = not torch.compiler.is_compiling() and is_on_host(sizes)
        if on_host and _are_alike(sizes.flatten(1).amax(1)):
            return x
        usual = _usual(sizes.flatten(1))
        outliers = sizes > LIMIT * usual
        if on_host and not outliers.any():
            return x
        factors = torch.where(outliers, TARGET * usual / sizes, 1.0)
    return x * factors.unsqueeze(-1).to(x.dtype)


def _are_alike(largest: Tensor) -> bool:
    """Whether no sequence's largest token can be an outlier: nearly always so, and soon told."""
    return float(largest.amax()) <= LIMIT * float(largest.median())


def _usual(sizes: Tensor) -> Tensor:
    """The usual size of a batch's large tokens, 0-dim.

    Args:
        sizes: (sequences, positions), 0 for padding.
    """
    return torch.maximum(_median_of_largest(sizes, 1), _median_of_largest(sizes, 0))


def _median_of_largest(sizes: Tensor, axis: int) -> Tensor:
    """Of an even number the lower of the middle two; what holds nothing counts as large."""
    largest = sizes.amax(axis)
    return torch.where(largest > 0, largest, largest.amax()).median()
