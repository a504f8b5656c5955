"""ReduceMean, ReduceSum, ReduceMax and ReduceMin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Compute,
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


def _reduced(function: Callable[[Array, tuple[int, ...], bool], Array], since_: int) -> Compute:
    """A reduction whose axes are an input from this opset on."""

    def compute(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
        x = needed(inputs)
        require(is_real(x), f"numbers of {x.dtype}")
        axes = axes_of(_axes(node, inputs, opset, since_), x.ndim)
        if not axes and node.attributes.get_int("noop_with_empty_axes", 0) != 0:
            return [x]
        axes = axes or list(range(x.ndim))
        require(all(x.shape[axis] for axis in axes), "nothing to reduce")
        keeps = node.attributes.get_int("keepdims", 1) != 0
        return [np.asarray(function(x, tuple(axes), keeps), dtype=x.dtype)]

    return compute


def _mean(x: Array, axes: tuple[int, ...], keeps: bool) -> Array:
    return np.asarray(np.mean(x, axes, dtype=accumulates(x.dtype), keepdims=keeps))


def _sum(x: Array, axes: tuple[int, ...], keeps: bool) -> Array:
    return np.asarray(np.sum(x, axes, dtype=accumulates(x.dtype), keepdims=keeps))


def _max(x: Array, axes: tuple[int, ...], keeps: bool) -> Array:
    return np.asarray(np.max(x, axes, keepdims=keeps))


def _min(x: Array, axes: tuple[int, ...], keeps: bool) -> Array:
    return np.asarray(np.min(x, axes, keepdims=keeps))


def _axes(node: ir.Node, inputs: Inputs, opset: int, since_: int) -> list[int]:
    """An attribute before that opset, an input from then on; none where all are meant."""
    if opset < since_:
        require("noop_with_empty_axes" not in node.attributes, f"an attribute of opset {since_}")
        return list(node.attributes.get_ints("axes", ()))
    require("axes" not in node.attributes, "its axes are an attribute")
    axes = given(inputs, 1)
    return [] if axes is None else listed(axes)


EVALUATORS = {
    "ReduceMean": since(1, _reduced(_mean, 18), "axes keepdims noop_with_empty_axes"),
    "ReduceSum": since(1, _reduced(_sum, 13), "axes keepdims noop_with_empty_axes"),
    "ReduceMax": since(1, _reduced(_max, 18), "axes keepdims noop_with_empty_axes"),
    "ReduceMin": since(1, _reduced(_min, 18), "axes keepdims noop_with_empty_axes"),
}
