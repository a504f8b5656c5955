"""Sizes that come of rounding, which runtimes do in other ways: known where all ways agree."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import onnx_ir as ir
from onnx_shape_inference import ShapeInferenceContext

from un_deploy.graph.analysis.side_dims import SideDim


def _pool(context: ShapeInferenceContext, node: ir.Node) -> None:
    """A last window that would begin in the padding is left out, which only numbers tell."""
    rounds_up = node.attributes.get_int("ceil_mode", 0) == 1
    for value in node.outputs:
        if value.shape is not None and rounds_up:
            spatial = [
                dim if isinstance(dim, int) else context.new_symbolic_dim()
                for dim in value.shape.dims[2:]
            ]
            value.shape = ir.Shape([*value.shape.dims[:2], *spatial])


def _resize(context: ShapeInferenceContext, node: ir.Node) -> None:
    """10 times 0.7 is 7 in float32, where runtimes compute it, and 6.9999999 exactly."""
    source, result = node.inputs[0], node.outputs[0]
    if source is None or source.shape is None or result.shape is None:
        return
    if len(node.inputs) > 3 and node.inputs[3] is not None:  # sizes are stated
        if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
            result.shape = ir.Shape([context.new_symbolic_dim() for _ in result.shape])
        return
    given = node.inputs[1 if len(node.inputs) == 2 else 2]
    scales = None if given is None else ir.convenience.get_const_tensor(given)
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if scales is None or mode == "tf_crop_and_resize":
        result.shape = ir.Shape([context.new_symbolic_dim() for _ in result.shape])
        return
    rank = len(source.shape)
    axes = [axis % rank for axis in node.attributes.get_ints("axes", range(rank))]
    dims = list(result.shape.dims)
    for axis, scale in zip(axes, scales.numpy().ravel(), strict=True):
        if not _scales_exactly(source.shape.dims[axis], scale):
            dims[axis] = context.new_symbolic_dim()
    result.shape = ir.Shape(dims)


def _scales_exactly(size: SideDim, scale: np.float32) -> bool:
    """Whether float32 rounds the product to the same whole number; of any size, if it is open."""
    exact = Fraction(float(scale))
    if not isinstance(size, int):
        return exact.denominator <= 64 and exact.numerator <= 64
    return math.floor(exact * size) == int(np.float32(size) * np.float32(scale))


def _range(context: ShapeInferenceContext, node: ir.Node) -> None:
    """From 0 to 7 by 0.7 are 10 steps in its type, and 11 exactly."""
    result = node.outputs[0]
    given = [ir.convenience.get_const_tensor(v) for v in node.inputs if v is not None]
    dtype = node.inputs[0].dtype if node.inputs[0] is not None else None
    if result.shape is None or (dtype is not None and dtype.is_integer()):
        return
    numbers = [tensor.numpy().reshape(()) for tensor in given if tensor is not None]
    if len(numbers) < 3:
        result.shape = ir.Shape([context.new_symbolic_dim()])
        return
    start, limit, delta = numbers
    own = (limit - start) / delta
    mixed = np.float64(limit - start) / np.float64(delta)
    exact = (Fraction(float(limit)) - Fraction(float(start))) / Fraction(float(delta))
    if len({math.ceil(own), math.ceil(mixed), math.ceil(exact)}) > 1:
        result.shape = ir.Shape([context.new_symbolic_dim()])


#: What becomes of the shapes that the package's own rules have given.
ROUNDED = {
    **dict.fromkeys(("AveragePool", "LpPool", "MaxPool"), _pool),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "Range": _range,
}
