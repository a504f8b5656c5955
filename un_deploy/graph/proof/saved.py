"""The constants that a fold rewrote: what is saved against the exact value, in every entry."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import rounded
from un_deploy.graph.analysis.exact import Exact

Array = np.ndarray


def saved_difference(saved: ir.TensorProtocol, exact: Exact) -> str:
    """The first entry that is not the exact one rounded, within one unit in the last place.

    Args:
        saved: the constant as the file holds it, in its own type.
        exact: what it should be, in float64; one part after the other is computed.

    Returns:
        A clause for a sentence that begins with the constant's name; empty where all are right.
    """
    array = saved.numpy()
    if array.shape != exact.shape:
        return f"has the shape {array.shape}, the fold gives {exact.shape}"
    read = exact.read()
    for part in exact.parts():
        held, right = array[part], rounded(read(part), saved.dtype)
        if np.array_equal(held, right):
            continue
        bad = np.argwhere(_units_apart(held, right) > 1)
        if len(bad):  # each entry of it is a place, that of a number is empty
            at = tuple(int(i) for i in bad[0])
            first = part[0].start if part and isinstance(part[0], slice) else 0
            place = [at[0] + (first or 0), *at[1:]] if at else []
            return f"holds {held[at]} at {place}, the fold gives {right[at]}"
    return ""


def _units_apart(first: Array, second: Array) -> Array:
    """How many numbers of their type lie between two arrays; NaN is far from all but itself."""
    apart = np.asarray(np.abs(_ordinal(first) - _ordinal(second)))
    nans = np.isnan(first), np.isnan(second)
    apart[nans[0] != nans[1]] = np.iinfo(np.int64).max
    apart[nans[0] & nans[1]] = 0
    return apart


def _ordinal(array: Array) -> Array:
    """Whole numbers in the order of the floating ones, neighbours one apart, both zeros 0."""
    width = array.dtype.itemsize
    bits = array.view(f"i{width}").astype(np.int64)
    return np.where(bits < 0, np.iinfo(f"i{width}").min - bits, bits)
