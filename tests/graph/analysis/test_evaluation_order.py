"""The order in which constants are computed: few results at once, each dropped when read."""

from __future__ import annotations

import onnx_ir as ir

from tests.support.graphs import build
from un_deploy.graph.analysis.evaluation_order import (
    drop_read,
    last_readers,
    near_their_readers,
    order_of,
)


def held_at_most(nodes: list[ir.Node]) -> int:
    """Results that are held at once when these are computed in this order."""
    last, held, most = last_readers(nodes), {}, 0
    for node in nodes:
        held.update({value: None for value in node.outputs if value in last})
        most = max(most, len(held))
        drop_read(held, node, last)
    return most


def pairs(count: int) -> list[ir.Node]:
    """As some exporters write weights: all of one kind first, and then what reads them."""
    first = "".join(f" a{i} = Neg(k)" for i in range(count))
    second = "".join(f" b{i} = Neg(a{i})" for i in range(count))
    model = build("float[4] x => float[4] y", f"{first} {second} y = Neg(x)", k=(4,))
    return [*model.graph][:-1]


def test_what_is_read_next_is_computed_last() -> None:
    nodes = pairs(10)
    assert held_at_most(nodes) == 10
    assert held_at_most(near_their_readers(nodes)) == 1
    assert set(near_their_readers(nodes)) == set(nodes)


def test_each_operator_comes_behind_those_it_reads() -> None:
    body = "a = Neg(k) b = Add(a, a) c = Mul(a, b) d = Sub(c, a) y = Mul(x, d)"
    model = build("float[4] x => float[4] y", body, k=(4,))
    *nodes, _ = model.graph
    assert order_of([nodes[-1]], lambda value: value.producer() is None) == nodes


def test_what_is_known_is_not_computed() -> None:
    body = "a = Neg(k) b = Neg(a) c = Neg(b) y = Mul(x, c)"
    model = build("float[4] x => float[4] y", body, k=(4,))
    _, second, third, _ = model.graph
    known = second.inputs[0]
    assert order_of([third], lambda value: value is known) == [second, third]
