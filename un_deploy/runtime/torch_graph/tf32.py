"""Says whether torch may compute fp32 products on CUDA in TF32: a setting of the whole process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch import backends


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Matrix products and convolutions may use TF32, or may not; afterwards it is as it was.

    By itself torch allows it in convolutions alone.
    """
    places = backends.cuda.matmul, backends.cudnn.conv  # type: ignore[attr-defined]
    products, convolutions = (place.fp32_precision == "tf32" for place in places)
    _set(allowed, allowed)
    try:
        yield
    finally:
        _set(products, convolutions)


def _set(products: bool, convolutions: bool) -> None:
    """By the older names: they set the newer ones too, and inductor fails where those differ."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings", UserWarning)
        backends.cuda.matmul.allow_tf32 = products
        backends.cudnn.allow_tf32 = convolutions
