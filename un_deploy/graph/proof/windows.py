"""Operators that slide a window over places: the number of places decides what it covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from un_deploy.graph.fold.rules import operator_named

#: Places that an operator without a window needs to show all that it does.
LEAST = 3


def windows(nodes: Iterable[ir.Node]) -> list[str]:
    """The windows that these operators slide, with all that is stated of them."""
    return sorted(
        f"{node.op_type} {sorted((name, str(a.value)) for name, a in node.attributes.items())}"
        for node in nodes
        if operator_named(node.op_type).slides
    )


def strides(node: ir.Node) -> Sequence[int]:
    """How far a window moves along each axis, as far as it is stated."""
    return node.attributes.get_ints("strides", ()) if operator_named(node.op_type).slides else ()


def reach(node: ir.Node) -> int:
    """How many places along an axis an operator must have to show all that it does."""
    if not operator_named(node.op_type).slides:
        return LEAST
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    shape = weight.shape if weight is not None else None
    kernel = [n for n in (shape.dims[2:] if shape is not None else ()) if isinstance(n, int)]
    kernel = kernel or list(node.attributes.get_ints("kernel_shape", ()))
    dilations = node.attributes.get_ints("dilations", [1] * len(kernel))
    steps = strides(node) or [1] * len(kernel)
    needed = [(n - 1) * d + 1 + 2 * s for n, d, s in zip(kernel, dilations, steps, strict=False)]
    return max([LEAST, *needed])
