"""In which order operators are computed, and when a result has been read for the last time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

import onnx_ir as ir


def near_their_readers(nodes: list[ir.Node]) -> list[ir.Node]:
    """So that each is computed shortly before what reads it, and few results are held at once."""
    among = set(nodes)
    read = {value.producer() for node in nodes for value in node.inputs if value is not None}
    last = (node for node in nodes if node not in read)
    return order_of(last, lambda value: value.producer() not in among)


def order_of(roots: Iterable[ir.Node], is_known: Callable[[ir.Value], bool]) -> list[ir.Node]:
    """These operators and those that compute what they read, each behind those that it reads."""
    order: dict[ir.Node, None] = {}
    for root in roots:
        pending = [root]
        while pending:
            node = pending[-1]
            before = (v.producer() for v in node.inputs if v is not None and not is_known(v))
            missing = [other for other in before if other is not None and other not in order]
            if missing:
                pending.extend(missing)
            else:
                order[pending.pop()] = None
    return list(order)


def last_readers(nodes: Iterable[ir.Node]) -> dict[ir.Value, ir.Node]:
    """Which of these operators, in the order in which they are computed, reads a value last."""
    return {value: node for node in nodes for value in node.inputs if value is not None}


def drop_read(
    held: MutableMapping[ir.Value, Any], node: ir.Node, last: Mapping[ir.Value, ir.Node]
) -> None:
    """Let go of what this operator was the last one to read."""
    for value in node.inputs:
        if value is not None and last[value] is node:
            held.pop(value, None)
