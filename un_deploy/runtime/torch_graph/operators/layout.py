"""Operators that only move elements: reshape, transpose, concatenate, split, pad, repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx_ir as ir
import torch
import torch.nn.functional as F

from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph.operators.attributes import attribute, only
from un_deploy.runtime.torch_graph.record_calls import Value, ints, known


def axes_of(node: ir.Node, given: Value | None, rank: int) -> list[int]:
    """Axes from an input or, in older opsets, the attribute; not negative. Empty: none given."""
    axes = attribute(node, "axes", []) if given is None else ints(given, "axes")
    return [axis % rank for axis in axes]


def _reshape(node: ir.Node, x: Value, shape: Value) -> Value:
    sizes = ints(shape, "shape")
    if not attribute(node, "allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: ir.Node, x: Value) -> Value:
    axis = attribute(node, "axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    rows, columns = x.shape[:axis].numel(), x.shape[axis:].numel()
    return x.reshape([rows, columns])


def _transpose(node: ir.Node, x: Value) -> Value:
    return x.permute(attribute(node, "perm", list(range(x.ndim))[::-1]))


def _squeeze(node: ir.Node, x: Value, axes: Value | None = None) -> Value:
    chosen = axes_of(node, axes, x.ndim)
    chosen = chosen or [axis for axis, size in enumerate(x.shape) if size == 1]
    wrong = [axis for axis in chosen if x.shape[axis] != 1]
    if wrong:
        raise InputError(f"axis {wrong[0]} has size {x.shape[wrong[0]]} and cannot be squeezed")
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in chosen])


def _unsqueeze(node: ir.Node, x: Value, axes: Value | None = None) -> Value:
    given = attribute(node, "axes") if axes is None else ints(axes, "axes")
    rank = x.ndim + len(given)
    for axis in sorted(axis % rank for axis in given):
        x = x.unsqueeze(axis)
    return x


def _expand(node: ir.Node, x: Value, shape: Value) -> Value:
    return x.expand(torch.broadcast_shapes(x.shape, ints(shape, "shape")))


def _split(node: ir.Node, x: Value, split: Value | None = None) -> Sequence[Value]:
    axis, parts = attribute(node, "axis", 0), len(node.outputs)
    if split is not None:
        sizes = ints(split, "sizes")
    else:
        size, length = -(-x.shape[axis] // parts), x.shape[axis]
        sizes = [max(0, min(size, length - k * size)) for k in range(parts)]
    pieces = torch.split(x, sizes, axis)
    return [pieces[k] for k in range(parts)]


def _pad(
    node: ir.Node, x: Value, pads: Value, fill: Value | None = None, axes: Value | None = None
) -> Value:
    only(node, "mode", "constant")
    amounts = ints(pads, "pads")
    chosen = axes_of(node, axes, x.ndim) or list(range(x.ndim))
    both = dict(zip(chosen, zip(amounts, amounts[len(chosen) :], strict=False), strict=True))
    widths = [width for axis in reversed(range(x.ndim)) for width in both.get(axis, (0, 0))]
    return F.pad(x, widths, value=0 if fill is None else known(fill, "fill value").item())


def _trilu(node: ir.Node, x: Value, k: Value | None = None) -> Value:
    diagonal = 0 if k is None else ints(k, "diagonal")[0]
    return (torch.triu if attribute(node, "upper", 1) else torch.tril)(x, diagonal)


HANDLERS: dict[str, Callable[..., Any]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Tile": lambda node, x, repeats: x.repeat(ints(repeats, "repeats")),
    "Concat": lambda node, *inputs: torch.cat(inputs, attribute(node, "axis")),
    "Split": _split,
    "Pad": _pad,
    "Trilu": _trilu,
}
