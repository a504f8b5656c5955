"""Data for `un-deploy convert`: the 1,000 Fashion-MNIST images that are kept with the project.

Each function serves one purpose, and no image serves two: fits, choosing and judging, a score.
They are test images, enough to show how a conversion goes; your own takes training images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

KEPT = np.load(Path(__file__).parents[1] / "models" / "data" / "fashion_mnist_test_1000.npz")
ORDER = np.random.default_rng(0).permutation(1000)
BATCH = 64


def batches(first: int, last: int) -> list[dict[str, np.ndarray]]:
    pixels = KEPT["images"][ORDER[first:last], None].astype(np.float32) / 255
    pixels = (pixels - 0.2860) / np.float32(0.3530)
    return [{"pixel_values": pixels[some : some + BATCH]} for some in range(0, len(pixels), BATCH)]


def calibration() -> list[dict[str, np.ndarray]]:
    return batches(0, 384)


def heldout() -> list[dict[str, np.ndarray]]:
    return batches(384, 640)


def accuracy(model: nn.Module) -> torch.Tensor:
    """100 for each image that is classified right, so that the loss is in points."""
    logits = torch.cat([model(torch.from_numpy(one["pixel_values"])) for one in batches(640, 1000)])
    labels = torch.from_numpy(KEPT["labels"][ORDER[640:]].astype(np.int64))
    return 100.0 * (logits.argmax(1) == labels)
