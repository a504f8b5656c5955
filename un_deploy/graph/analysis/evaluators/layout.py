"""What moves elements and changes none: Transpose, Reshape and their like, Expand, Tile, Pad,
DepthToSpace, SpaceToDepth, Identity."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    return [np.squeeze(x, tuple(axes_of(axes, x.ndim)))]


def _unsqueeze(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, axes = needed(inputs), _axes(node, inputs, opset)
    if axes is None:
        raise Unknown("it has no axes")
    return [np.expand_dims(x, tuple(axes_of(axes, x.ndim + len(axes))))]


def _expand(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, shape = needed(inputs), listed(needed(inputs, 1))
    shape = list(np.broadcast_shapes(x.shape, tuple(shape)))
    check_size(shape, x.dtype)
    return [np.broadcast_to(x, shape)]


def _tile(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, repeats = needed(inputs), listed(needed(inputs, 1))
    require(len(repeats) == x.ndim and min(repeats, default=0) >= 0, f"repeats of {repeats}")
    check_size([n * size for n, size in zip(repeats, x.shape, strict=True)], x.dtype)
    return [np.tile(x, repeats)]


def _pad(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """Negative pads cut off."""
    x, mode = needed(inputs), node.attributes.get_string("mode", "constant")
    require(mode in ("constant", "reflect", "edge", "wrap"), f"the mode {mode}")
    if opset < 11:
        pads = list(node.attributes.get_ints("pads"))
        fill = np.asarray(node.attributes.get_float("value", 0.0))
        axes: Sequence[int] = range(x.ndim)
    else:
        require(node.attributes.keys() <= {"mode"}, "its pads are attributes")
        value, named = given(inputs, 2), given(inputs, 3)
        pads, fill = (
            listed(needed(inputs, 1)),
            np.asarray(0) if value is None else value.reshape(()),
        )
        axes = range(x.ndim) if named is None else axes_of(listed(named), x.ndim)
    require(len(pads) == 2 * len(axes), f"pads {pads}")
    require(mode == "constant" or min(pads, default=0) >= 0, f"negative pads of {mode}")
    around, index = [(0, 0)] * x.ndim, [slice(None)] * x.ndim
    for axis, begin, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        n = x.shape[axis]
        cut = slice(max(-begin, 0), n - max(-end, 0))
        require(0 <= cut.start <= cut.stop, "pads that cut off more than there is")
        most = {"reflect": n - 1, "wrap": n, "edge": n and n + begin + end}.get(mode, begin + end)
        require(mode == "constant" or max(begin, end) <= most, "pads of more than there is")
        around[axis], index[axis] = (max(begin, 0), max(end, 0)), cut
    check_size([n + sum(pad) for n, pad in zip(x.shape, around, strict=True)], x.dtype)
    if mode != "constant":
        return [np.pad(x, around, mode=mode)]  # type: ignore[call-overload]
    return [np.pad(x[tuple(index)], around, constant_values=fill)]


def _block(node: ir.Node, x: Array) -> int:
    block = node.attributes.get_int("blocksize")
    require(x.ndim == 4 and block > 0, f"blocks of {block} of a tensor of rank {x.ndim}")
    return block


def _space_to_depth(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    b, (n, c, h, w) = _block(node, x), x.shape
    parts = x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4)
    return [parts.reshape(n, c * b * b, h // b, w // b)]


def _depth_to_space(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, mode = needed(inputs), node.attributes.get_string("mode", "DCR")
    require(mode in ("DCR", "CRD"), f"the mode {mode}")
    b, (n, c, h, w) = _block(node, x), x.shape
    if mode == "DCR":
        parts = x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return [parts.reshape(n, c // (b * b), h * b, w * b)]


EVALUATORS = {
    "Identity": since(1, _identity),
    "Dropout": since(7, _dropout, "ratio seed"),
    "Transpose": since(1, _transpose, "perm"),
    "Reshape": since(5, _reshape, "allowzero"),
    "Flatten": since(1, _flatten, "axis"),
    "Squeeze": since(1, _squeeze, "axes"),
    "Unsqueeze": since(1, _unsqueeze, "axes"),
    "Expand": since(8, _expand),
    "Tile": since(6, _tile),
    "Pad": since(2, _pad, "mode pads value"),
    "SpaceToDepth": since(1, _space_to_depth, "blocksize"),
    "DepthToSpace": since(1, _depth_to_space, "blocksize mode"),
}
