"""Floating types: which are computed with, which hold which, and arrays widened to float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx_ir as ir

#: From narrow to wide; float16 and bfloat16 hold none of each other.
_WIDTH = {
    ir.DataType.FLOAT16: 1,
    ir.DataType.BFLOAT16: 1,
    ir.DataType.FLOAT: 2,
    ir.DataType.DOUBLE: 3,
}
_NAMES = {"float16", "bfloat16", "float32", "float64"}


def is_floating(dtype: ir.DataType | None) -> bool:
    """Whether a tensor of this type carries real numbers that can be widened to float64."""
    return dtype in _WIDTH


def keeps_all(source: ir.DataType | None, target: ir.DataType) -> bool:
    """Whether every number of the one floating type is one of the other."""
    if source not in _WIDTH or target not in _WIDTH:
        return False
    return source == target or _WIDTH[source] < _WIDTH[target]


def narrows(node: ir.Node, dtype_of: Callable[[ir.Value], ir.DataType | None]) -> bool:
    """Whether this is a Cast that rounds real numbers to a narrower type.

    Whole numbers are taken for sizes, which float32 holds; the half types do not.
    """
    value = node.inputs[0] if node.op_type == "Cast" and node.inputs else None
    if value is None:
        return False
    source, target = dtype_of(value), ir.DataType(node.attributes.get_int("to", 0))
    if source is not None and source.is_integer():
        source = ir.DataType.FLOAT
    return is_floating(target) and not keeps_all(source, target)


@cache
def _is_real(dtype: np.dtype) -> bool:
    return dtype.name in _NAMES  # numpy makes a name anew each time


def is_real(array: np.ndarray) -> bool:
    """Whether an array holds such numbers."""
    return _is_real(array.dtype)


def widen(array: Any) -> np.ndarray:
    """float16, bfloat16 and float32 arrays become float64; others are returned as they are."""
    array = np.asarray(array)
    return array.astype(np.float64, copy=False) if is_real(array) else array


def stored(value: ir.Value) -> np.ndarray:
    """An initializer as the file holds it, float64 where floating."""
    assert value.const_value is not None
    return widen(value.const_value.numpy())
