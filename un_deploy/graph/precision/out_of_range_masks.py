"""Finds mask constants too large for fp16 and keeps the operators up to the Softmax in fp32.

Exported attention masks hold the lowest float32 (or half of it), which is added to the scores.
If all that carries it stays in fp32 as far as the Softmax, nothing overflows and the result is
that of fp32, also in rows that are masked as a whole, where -65504 or -inf in its place would
give other numbers, or NaN. A Clip that it bounds from outside the range clips nothing: there it
may become infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import onnx_ir as ir

from un_deploy.graph.analysis.operator_types import has_body
from un_deploy.graph.precision.rounding import Entry

#: Operators through which a mask goes on its way to the scores.
_CARRIERS = {"Add", "Sub", "Mul", "Neg", "Where", "Min", "Max", "Clip", "Identity", "Cast"}
_CARRIERS |= {"CastLike", "Expand", "Tile", "Reshape", "Flatten", "Squeeze", "Unsqueeze"}
_CARRIERS |= {"Transpose", "Slice", "Gather", "Concat", "Split", "Pad", "Trilu", "ScatterND"}

#: Operators whose results are within [-1, 1], whatever they are given.
_BOUNDED = {"Softmax", "Sigmoid", "Tanh"}


def carriers(
    value: ir.Value,
    entry: Entry,
    is_float: Callable[[ir.Value], bool],
    named: Collection[ir.Node],
    across: Mapping[ir.Value, Sequence[ir.Value]],
    *,
    may_leave: bool,
) -> list[ir.Node] | None:
    """The operators that must stay in fp32 for the number's sake.

    Args:
        value: a constant.
        entry: the number.
        is_float: whether a value is float32.
        named: operators that the user keeps in fp32; what they make is the user's care.
        across: what a value is called on the other side of a body's edge, where it stays fp32.
        may_leave: whether the graph's outputs are float32.

    Returns:
        None where the number reaches what may overflow in the half type.
    """
    found: list[ir.Node] = []
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        beyond = across.get(current, ())
        pending += [other for other in beyond if other not in seen]
        seen.update(beyond)
        if current.is_graph_output() and not beyond and not may_leave:
            return None
        for node, index in current.uses():
            if node in named or _clips_nothing(node, index, entry) or has_body(node):
                continue
            if node.domain:
                return None
            found.append(node)
            made = [output for output in node.outputs if is_float(output) and output not in seen]
            is_mask = node.op_type == "Attention" and index == 3
            if not made or node.op_type in _BOUNDED or is_mask:
                continue
            if node.op_type not in _CARRIERS:
                return None
            seen.update(made)
            pending.extend(made)
    return found


def _clips_nothing(node: ir.Node, index: int, entry: Entry) -> bool:
    """Whether it is the lower bound of a Clip and negative, or the upper one and positive."""
    return node.op_type == "Clip" and index == (1 if entry.value < 0 else 2)
