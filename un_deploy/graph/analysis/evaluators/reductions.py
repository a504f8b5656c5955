"""ReduceMean."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    accumulates,
    axes_of,
    given,
    listed,
    needed,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real


def _reduce_mean(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"a mean of {x.dtype}")
    axes = axes_of(_axes(node, inputs, opset), x.ndim, opset)
    if not axes and node.attributes.get_int("noop_with_empty_axes", 0) != 0:
        return [x]
    axes = axes or list(range(x.ndim))
    require(all(x.shape[axis] for axis in axes), "a mean of nothing")
    keeps = node.attributes.get_int("keepdims", 1) != 0
    mean = np.mean(x, tuple(axes), dtype=accumulates(x.dtype), keepdims=keeps)
    return [np.asarray(mean, dtype=x.dtype)]


def _axes(node: ir.Node, inputs: Inputs, opset: int) -> list[int]:
    """An attribute before opset 18, an input from then on; none where all are meant."""
    if opset < 18:
        require("noop_with_empty_axes" not in node.attributes, "an attribute of opset 18")
        return list(node.attributes.get_ints("axes", ()))
    require("axes" not in node.attributes, "its axes are an attribute")
    axes = given(inputs, 1)
    return [] if axes is None else listed(axes)


EVALUATORS = {
    "ReduceMean": since(1, _reduce_mean, "axes keepdims noop_with_empty_axes"),
}
