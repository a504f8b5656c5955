"""DequantizeLinear: per tensor, along an axis, in blocks."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    accumulates,
    axis_of,
    check_size,
    given,
    needed,
    of_one_type,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real

#: Types that weights are stored in to be small, and int32, in which biases are.
_STORED = {"int8", "uint8", "int16", "uint16", "int32", "int4", "uint4"}
_STORED |= {"float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"}


def _dequantize_linear(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, scale, zero = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    require(x.dtype.name in _STORED and is_real(scale), f"{x.dtype} by {scale.dtype}")
    wide = accumulates(scale.dtype)
    check_size(x.shape, wide)
    difference = x.astype(np.int32 if x.dtype.kind in "iu" else wide)
    if zero is not None:
        of_one_type(x, zero)
        require(zero.shape == scale.shape, "zero points of another shape than the scales")
        difference = difference - _spread(node, zero, x.shape, opset).astype(difference.dtype)
    factor = _spread(node, scale, x.shape, opset).astype(wide)
    return [np.asarray((difference.astype(wide) * factor).astype(scale.dtype))]


def _spread(node: ir.Node, array: Array, shape: tuple[int, ...], opset: int) -> Array:
    """Scales or zero points so that they broadcast to the tensor."""
    block = node.attributes.get_int("block_size", 0)
    if array.size == 1 and array.ndim <= 1 and not block:
        return array.reshape(())
    require(opset >= 13, "an axis before opset 13")
    axis = axis_of(node.attributes.get_int("axis", 1), len(shape))
    size = shape[axis]
    if not block:
        require(array.shape == (size,), f"scales of shape {array.shape}")
        return array.reshape(-1, *[1] * (len(shape) - axis - 1))
    require(opset >= 21 and block > 0, f"blocks of {block}")
    blocks = (*shape[:axis], -(-size // block), *shape[axis + 1 :])
    require(array.shape == blocks, f"scales of shape {array.shape}")
    return np.repeat(array, block, axis).take(range(size), axis)


EVALUATORS = {
    "DequantizeLinear": since(10, _dequantize_linear, "axis block_size"),
}
