"""What stood around a norm is counted where it stood, and the rules that took part."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir
import pytest

from tests.support.fuzzer.seen import Seen
from tests.support.graphs import NORM, build
from un_deploy.graph.fold.fold import fold_graph

SIGNATURE = "float[B,3,4] x, bool c, int64 n0 => float[B,3,4] y"
BEHIND = "p = MatMul(x, w) m = Mul(p, a) n = Add(m, b)"
TURNED = (
    "p = MatMul(x, w) t = Transpose<perm=[0,2,1]>(p) m = Mul(t, ac) k = Add(m, bc) "
    "n = Transpose<perm=[0,2,1]>(k)"
)
IF = (
    "y = If(c) <then_branch = t () => (float[] u) { u = Neg(n) }, "
    "else_branch = e () => (float[] v) { v = Relu(n) }>"
)
LOOP = (
    "y = Loop(n0, c, x) <body = l (int64 i, bool d, float[] s) => (bool f, float[] r) "
    "{ f = Identity(d) r = Add(s, n) }>"
)


def seen(body: str) -> Seen:
    shapes = {"w": (4, 4), "a": (4,), "b": (4,), "ac": (4, 1), "bc": (4, 1)}
    used = {name: shape for name, shape in shapes.items() if f" {name})" in body}
    model = build(SIGNATURE, body, **used)
    model.opset_imports["k"] = 1
    return Seen(ir.to_proto(model), fold_graph(model.clone()))


@pytest.mark.parametrize(
    ("reader", "family"),
    [
        ("y = k.Own(n)", "foreign"),
        (IF, "If"),
        (LOOP, "Loop"),
        ("y = RandomNormalLike(n)", "random"),
        ("y = Dropout(n, , c)", "random"),
    ],
    ids=["foreign", "If", "Loop", "random", "Dropout in training"],
)
def test_who_reads_a_norm_that_folded_backward_or_a_cancelled_layout(
    reader: str, family: str
) -> None:
    found = seen(f"{BEHIND} {reader}")
    assert found.norms == Counter({"stayed": 0, "folded backward": 1})
    assert found.around == {(family, "reading a norm that folded backward"): 1}
    found = seen(f"{TURNED} {reader}")
    assert found.around[family, "reading a cancelled layout"] == 1


def test_what_stands_on_both_sides_of_a_norm_that_folded_forward() -> None:
    norm = NORM.replace("(x,", "(q,")
    found = seen(f"q = RandomNormalLike(x) {norm} p = MatMul(n, w) y = k.Own(p)")
    assert found.norms["folded forward"] == 1 and found.most_rules == 1
    assert found.operators == {("MatMul", "MatMul", "forward"): 1}
    assert found.around == {
        ("random", "before a norm that folded forward"): 1,
        ("foreign", "reading what a norm folded forward into"): 1,
    }


def test_a_rule_that_passes_a_norm_on_took_part_and_a_norm_that_stays_is_counted() -> None:
    found = seen(f"{NORM} t = Neg(n) y = MatMul(t, w)")
    assert found.operators == {
        ("Elementwise", "Neg", "forward"): 1,
        ("MatMul", "MatMul", "forward"): 1,
    }
    assert found.most_rules == 2 and not found.reasons
    found = seen(f"{NORM} y = k.Own(n)")
    assert found.norms == {"stayed": 1} and not found.operators and not found.around
    assert found.reasons == {"graph_view: _ is a graph _": 1} | {
        f"solving/propagate: {text}": 1
        for text in ("_ (_) does not commute with a scale and shift", "_, so its value must stay")
    }
