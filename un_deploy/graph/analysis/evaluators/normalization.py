"""BatchNormalization at inference; Layer, RMS, Instance and GroupNormalization; Scaler."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    accumulates,
    axis_of,
    given,
    needed,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real

#: BatchNormalization's default epsilon: attributes are float32, and so is what runtimes read.
EPSILON = float(np.float32(1e-5))


def _batch_normalization(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """Up to opset 13 nothing but its further outputs tells that it is in training."""
    x, *parameters = (needed(inputs, index) for index in range(5))
    attributes = node.attributes
    require(attributes.get_int("training_mode", 0) == 0, "it is in training")
    require(not any(value.name for value in node.outputs[1:]), "it is in training")
    require(attributes.get_int("spatial", 1) == 1, "its parameters differ from pixel to pixel")
    require(x.ndim >= 2 and all(map(is_real, (x, *parameters))), f"a tensor of {x.dtype}")
    require(all(array.shape == x.shape[1:2] for array in parameters), "parameters of another size")
    wide = accumulates(x.dtype)
    scale, bias, mean, variance = (
        array.astype(wide, copy=False).reshape(-1, *[1] * (x.ndim - 2)) for array in parameters
    )
    deviation = np.sqrt(variance + wide.type(attributes.get_float("epsilon", EPSILON)))
    y = scale * ((x.astype(wide, copy=False) - mean) / deviation) + bias
    return [y.astype(x.dtype, copy=False)]


def _scaler(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """(x - offset) * scale, of a row or rows; one number, or one for each feature."""
    x = needed(inputs)
    given = [np.array(node.attributes.get_floats(name, ()), np.float32) for name in SCALER]
    require(x.ndim in (1, 2) and x.dtype in (np.float32, np.float64), f"a tensor of {x.dtype}")
    require(all(a.shape in ((1,), x.shape[-1:]) for a in given), "parameters of another size")
    offset, scale = (array.astype(x.dtype) for array in given)
    return [(x - offset) * scale]


def _scaler_in_float32(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """Its result is float32, whatever it reads."""
    require(needed(inputs).dtype == np.float32, "it reads no float32")
    return _scaler(node, inputs, opset)


#: The attributes of a Scaler.
SCALER = ("offset", "scale")


def _over_last_axes(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """LayerNormalization and, where no mean is subtracted, RMSNormalization."""
    x, scale, bias = needed(inputs), needed(inputs, 1), given(inputs, 2)
    require(not any(value.name for value in node.outputs[1:]), "its statistics are read")
    first = axis_of(node.attributes.get_int("axis", -1), x.ndim)
    y = _normalised(node, x, tuple(range(first, x.ndim)), node.op_type == "LayerNormalization")
    return _scaled(x, y, scale, bias)


def _over_places(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """InstanceNormalization, and GroupNormalization: channels in groups."""
    x, scale, bias = (needed(inputs, index) for index in range(3))
    require(x.ndim >= 3, "it has no places")
    require(scale.shape == bias.shape == x.shape[1:2], "parameters of another size")
    groups = node.attributes.get_int("num_groups", x.shape[1])
    require(groups > 0 and x.shape[1] % groups == 0, "its groups do not divide the channels")
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    y = _normalised(node, grouped, tuple(range(2, grouped.ndim)), True).reshape(x.shape)
    column = (-1, *[1] * (x.ndim - 2))
    return _scaled(x, y, scale.reshape(column), bias.reshape(column))


def _in_groups(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """GroupNormalization in the tensors' own types; its statistics are of float32, by default."""
    require(needed(inputs).dtype != np.float64, "numbers of float64")
    return _over_places(node, inputs, opset)


def _normalised(node: ir.Node, x: Array, axes: tuple[int, ...], centred: bool) -> Array:
    require(is_real(x), f"numbers of {x.dtype}")
    require(all(x.shape[axis] for axis in axes), "nothing to measure")
    wide = accumulates(x.dtype)
    x = x.astype(wide, copy=False)
    if centred:
        x = x - np.mean(x, axes, keepdims=True)
    square = np.mean(x * x, axes, keepdims=True)
    epsilon = wide.type(node.attributes.get_float("epsilon", EPSILON))
    return np.asarray(x / np.sqrt(square + epsilon))


def _scaled(x: Array, y: Array, scale: Array, bias: Array | None) -> list[Array]:
    """In x's type, rounded once."""
    factors = [scale] if bias is None else [scale, bias]
    require(all(array.dtype == x.dtype for array in factors), "its inputs have different types")
    require(np.broadcast_shapes(x.shape, *(a.shape for a in factors)) == x.shape, "it widens x")
    y = y * scale.astype(y.dtype, copy=False)
    if bias is not None:
        y = y + bias.astype(y.dtype, copy=False)
    return [y.astype(x.dtype, copy=False)]


EVALUATORS = {
    "LayerNormalization": since(17, _over_last_axes, "axis epsilon stash_type"),
    "RMSNormalization": since(23, _over_last_axes, "axis epsilon stash_type"),
    "InstanceNormalization": since(6, _over_places, "epsilon"),
    "GroupNormalization": since(21, _in_groups, "epsilon num_groups stash_type", _over_places),
    "ai.onnx.ml.Scaler": since(1, _scaler_in_float32, "offset scale", _scaler),
    "BatchNormalization": since(7, _batch_normalization, "epsilon momentum training_mode spatial"),
}
