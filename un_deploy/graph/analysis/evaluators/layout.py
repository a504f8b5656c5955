"""What moves elements and changes none: Transpose, Reshape and their like, Expand, Identity."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    Unknown,
    axes_of,
    check_size,
    given,
    listed,
    needed,
    require,
    since,
)


def _identity(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    return [needed(inputs)]


def _dropout(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """At inference; up to opset 11 a runtime is never asked for anything else."""
    training = given(inputs, 2)
    require(training is None or not training.any(), "it drops elements")
    require(not any(map(_is_read, node.outputs[1:])), "its mask is asked for")
    return [needed(inputs)]


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _transpose(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    perm = list(node.attributes.get_ints("perm", range(x.ndim)[::-1]))
    require(sorted(perm) == list(range(x.ndim)), f"perm {perm} of a tensor of rank {x.ndim}")
    return [x.transpose(perm)]


def _reshape(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, shape = needed(inputs), listed(needed(inputs, 1))
    require(min(shape, default=0) >= -1 and shape.count(-1) <= 1, f"the shape {shape}")
    if node.attributes.get_int("allowzero", 0):
        require(not (0 in shape and -1 in shape), f"the shape {shape}")
    else:
        shape = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    return [x.reshape(shape)]  # raises where sizes do not fit, or -1 could be anything


def _flatten(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    axis = node.attributes.get_int("axis", 1)
    require((-x.ndim if opset >= 11 else 0) <= axis <= x.ndim, f"axis {axis}")
    axis += x.ndim if axis < 0 else 0
    return [x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))]


def _axes(node: ir.Node, inputs: Inputs, opset: int) -> list[int] | None:
    """An attribute before opset 13, an input from then on."""
    if opset < 13:
        return list(node.attributes.get_ints("axes")) if "axes" in node.attributes else None
    require("axes" not in node.attributes, "its axes are an attribute")
    axes = given(inputs, 1)
    return None if axes is None else listed(axes)


def _squeeze(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, axes = needed(inputs), _axes(node, inputs, opset)
    if axes is None:
        return [np.squeeze(x)]
    require(axes, "whether no axes means none or all is open")
    return [np.squeeze(x, tuple(axes_of(axes, x.ndim, opset)))]


def _unsqueeze(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, axes = needed(inputs), _axes(node, inputs, opset)
    if axes is None:
        raise Unknown("it has no axes")
    return [np.expand_dims(x, tuple(axes_of(axes, x.ndim + len(axes), opset)))]


def _expand(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, shape = needed(inputs), listed(needed(inputs, 1))
    shape = list(np.broadcast_shapes(x.shape, tuple(shape)))
    check_size(shape, x.dtype)
    return [np.broadcast_to(x, shape)]


EVALUATORS = {
    "Identity": since(1, _identity),
    "Dropout": since(7, _dropout, "ratio seed"),
    "Transpose": since(1, _transpose, "perm"),
    "Reshape": since(5, _reshape, "allowzero"),
    "Flatten": since(1, _flatten, "axis"),
    "Squeeze": since(1, _squeeze, "axes"),
    "Unsqueeze": since(1, _unsqueeze, "axes"),
    "Expand": since(8, _expand),
}
