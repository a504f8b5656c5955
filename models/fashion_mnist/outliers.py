"""Outlier batches: now and then one patch of one image is a thousand times too bright."""

from __future__ import annotations

from torch import Tensor

EVERY = 50
"""Steps from one such batch to the next."""

FACTOR = 1000.0
"""What the patch's pixels, already standardised, are multiplied by."""

PATCH = slice(12, 16)
"""Its rows and columns: one 4x4 patch near the centre, so one token."""


def with_outlier(pixels: Tensor) -> Tensor:
    """A copy of a batch (n, 1, 28, 28) in which one token of the first image is an outlier."""
    pixels = pixels.clone()
    pixels[0, :, PATCH, PATCH] *= FACTOR
    return pixels
