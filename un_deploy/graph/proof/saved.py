"""The constants that a fold rewrote: what is saved against the exact value, in every entry."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import rounded

Array = np.ndarray

#: Entries compared in one go; keeps the temporary arrays small.
_BLOCK = 1 << 20


def saved_difference(saved: ir.TensorProtocol, exact: Array) -> str:
    """The first entry that is not the exact one rounded, within one unit in the last place.

    Args:
        saved: the constant as the file holds it, in its own type.
        exact: what it should be, in float64.

    Returns:
        A clause for a sentence that begins with the constant's name; empty where all are right.
    """
    array = saved.numpy()
    if array.shape != exact.shape:
        return f"has the shape {array.shape}, the fold gives {exact.shape}"
    flat, wanted = array.reshape(-1), exact.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        right = rounded(wanted[block], saved.dtype)
        bad = np.flatnonzero(_units_apart(flat[block], right) > 1)
        if bad.size:
            index = start + int(bad[0])
            place = [int(i) for i in np.unravel_index(index, array.shape)]
            return f"holds {flat[index]} at {place}, the fold gives {right[bad[0]]}"
    return ""


def _units_apart(first: Array, second: Array) -> Array:
    """How many numbers of their type lie between two arrays; NaN is far from all but itself."""
    if np.array_equal(first, second):
        return np.zeros(first.shape, dtype=np.int64)
    apart = np.abs(_ordinal(first) - _ordinal(second))
    nans = np.isnan(first), np.isnan(second)
    apart[nans[0] != nans[1]] = np.iinfo(np.int64).max
    apart[nans[0] & nans[1]] = 0
    return apart


def _ordinal(array: Array) -> Array:
    """Whole numbers in the order of the floating ones, neighbours one apart, both zeros 0."""
    width = array.dtype.itemsize
    bits = array.view(f"i{width}").astype(np.int64)
    return np.where(bits < 0, np.iinfo(f"i{width}").min - bits, bits)
