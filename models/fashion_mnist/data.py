"""Fashion-MNIST as numpy arrays: the complete set, and the 1,000 test images kept beside it.

Xiao, Rasul and Vollgraf, "Fashion-MNIST", arXiv 1708.07747; MIT licence, Zalando SE. The set has
60,000 training and 10,000 test images, 28x28 grey pixels, ten classes.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DEBIAN_DIRECTORY = Path("/usr/share/datasets/fashion-mnist")
KEPT = Path(__file__).parent.parent / "data" / "fashion_mnist_test_1000.npz"
CLASSES = 10
KEPT_PER_CLASS = 100

# Mean and standard deviation of all training pixels, scaled to [0, 1].
PIXEL_MEAN = 0.2860
PIXEL_STD = 0.3530

Split = Literal["train", "t10k"]
UInt8Array = NDArray[np.uint8]


class DataError(Exception):
    """A data file is missing or damaged; the message says which one and where to get it."""


def read_idx(path: Path) -> UInt8Array:
    """Read one gzipped IDX file of unsigned bytes.

    The header is two zero bytes, the type 8, the rank, then one big-endian int32 per dimension.

    Raises:
        DataError: the file is not there, or is no such file.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except OSError as error:
        if path.is_file():
            raise DataError(f"{path}: {error}; fetch the file again") from error
        raise DataError(
            f"{path}: no such file. On Debian: apt-get install dataset-fashion-mnist. Elsewhere: "
            "put the four .gz files of github.com/zalandoresearch/fashion-mnist in one folder "
            "and name it with --data"
        ) from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged; fetch the file again") from error
    rank = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * rank
    shape = np.frombuffer(content[4:start], dtype=">i4")
    if rank == 0 or len(content) - start != shape.prod():
        raise DataError(f"{path}: no IDX file of unsigned bytes; fetch the file again")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def load(split: Split, directory: Path = DEBIAN_DIRECTORY) -> tuple[UInt8Array, UInt8Array]:
    """Load a split: images (n, 28, 28) and labels (n,), both uint8.

    Raises:
        DataError: a file is missing or damaged, or images and labels do not match.
    """
    images = read_idx(directory / f"{split}-images-idx3-ubyte.gz")
    labels = read_idx(directory / f"{split}-labels-idx1-ubyte.gz")
    if images.shape != (len(labels), 28, 28):
        raise DataError(f"{directory}: {images.shape} {split} images for {labels.shape} labels")
    return images, labels


def pixel_values(images: UInt8Array) -> NDArray[np.float32]:
    """What the network is given: (n, 28, 28) uint8 -> (n, 1, 28, 28) float32, standardised."""
    pixels = images[:, None].astype(np.float32) / np.float32(255)
    return (pixels - np.float32(PIXEL_MEAN)) / np.float32(PIXEL_STD)


def kept_indices(labels: UInt8Array) -> NDArray[np.intp]:
    """Indices of the first 100 images of each class, in the order of the set."""
    per_class = [np.flatnonzero(labels == label)[:KEPT_PER_CLASS] for label in range(CLASSES)]
    return np.sort(np.concatenate(per_class))


def load_kept() -> tuple[UInt8Array, UInt8Array]:
    """Load the kept slice of the test set: images (1000, 28, 28) and labels (1000,), uint8."""
    with np.load(KEPT) as arrays:
        return arrays["images"], arrays["labels"]


def kept_inputs() -> dict[str, NDArray[np.float32]]:
    """The kept images as vit_micro's input: {"pixel_values": (1000, 1, 28, 28) float32}."""
    return {"pixel_values": pixel_values(load_kept()[0])}
