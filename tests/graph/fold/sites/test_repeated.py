"""A constant that is repeated for an open batch takes another gauge in each sum that reads it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import assert_folds, build, operators, to_bytes
from un_deploy.graph.fold.fold import fold_graph

WEIGHTS = {
    **dict.fromkeys(("a1", "b1", "a2", "b2"), (4,)),
    **dict.fromkeys(("u", "w1", "w2", "k1", "k2", "v"), (4, 4)),
    "table": (1, 3, 4),
}

#: Two layers that end in a norm; what each reads has the table added.
LAYERS = """
    h = MatMul(x, u) q1 = Add(h, t) r1 = MatMul(q1, k1) p1 = MatMul(r1, w1) s1 = Add(h, p1)
    m1 = Mul(s1, a1) n1 = Add(m1, b1)
    q2 = Add(t, n1) r2 = MatMul(q2, k2) p2 = MatMul(r2, w2) s2 = Sub(n1, p2)
    m2 = Mul(s2, a2) n2 = Add(m2, b2)
    q3 = Sub(n2, t) z = MatMul(q3, v) y = Add(z, n2)
"""
BATCH = "whole = Shape(x) batch = Slice(whole, zero, one, zero)"
REPEATED = {
    "Expand": f"{BATCH} to = Concat<axis=0>(batch, ones) t = Expand(table, to)",
    "Tile": f"{BATCH} to = Concat<axis=0>(batch, ones) t = Tile(table, to)",
    "Tile of an Expand": f"{BATCH} to = Concat<axis=0>(batch, ones) e = Expand(table, ones3)"
    " t = Tile(e, to)",
    "known": "t = Expand(table, known)",
}
NUMBERS = {"zero": [0], "one": [1], "ones": [1, 1], "ones3": [1, 1, 1], "known": [2, 1, 1]}


def layers(how: str, *, opset: int = 18, kind: str = "float", batch: str = "B") -> ir.Model:
    made = REPEATED[how]
    numbers = {name: value for name, value in NUMBERS.items() if name in made}
    signature = f"{kind}[{batch},3,4] x => {kind}[{batch},3,4] y"
    dtype = np.float16 if kind == "float16" else np.float32
    return build(signature, made + LAYERS, opset, dtype, **WEIGHTS, **numbers)


@pytest.mark.parametrize("how", REPEATED)
def test_a_table_that_layers_share(how: str) -> None:
    folded = assert_folds(layers(how, batch="2" if how == "known" else "B"))
    left = operators(folded.model)
    assert "Mul" not in left
    gained = 2  # biases, of projections that had none
    assert [left.count(op) for op in ("Add", "Sub", "MatMul")] == [4 + gained, 2, 6]


@pytest.mark.parametrize("opset", [10, 13, 21])
def test_in_other_opsets(opset: int) -> None:
    assert_folds(layers("Expand", opset=opset))


def test_in_a_half_type() -> None:
    assert_folds(layers("Tile", kind="float16"), eps=2.0**-10)


@pytest.mark.parametrize("number", ["0.0", "0.5"])
def test_one_number_of_an_open_shape(number: str) -> None:
    """As the first state of a decoder, of which the shape of another tensor is made."""
    made = f"whole = Shape(x) t = ConstantOfShape<value = float[1] {{{number}}}>(whole)"
    weights = {name: value for name, value in WEIGHTS.items() if name != "table"}
    folded = assert_folds(build("float[B,3,4] x => float[B,3,4] y", made + LAYERS, **weights))
    assert "Mul" not in operators(folded.model)


def test_along_the_channels_it_is_another_constant() -> None:
    """What is repeated along an axis on which the scale varies cannot be read before."""
    body = """
        t = Tile(table, to) s = Add(x, t) m = Mul(s, a) n = Add(m, b) y = MatMul(n, w)
    """
    weights = {"a": (4,), "b": (4,), "w": (4, 5), "table": (1, 3, 2)}
    folded = assert_folds(build("float[B,3,4] x => float[B,3,5] y", body, **weights, to=[1, 1, 2]))
    assert operators(folded.model) == ["Tile", "Add", "MatMul", "Add"]


def test_what_makes_the_sum_as_large_as_it_is_stays_repeated() -> None:
    """The table brings the batch; without its repetitions the sum would have one row."""
    body = f"{REPEATED['Expand']} s = Add(c, t) m = Mul(s, a) n = Add(m, b) y = MatMul(n, w)"
    numbers = {name: NUMBERS[name] for name in ("zero", "one", "ones")}
    weights = {"a": (4,), "b": (4,), "w": (4, 5), "table": (1, 3, 4)}
    model = build("float[B,3,4] x, float[1,3,4] c => float[B,3,5] y", body, **weights, **numbers)
    assert "Expand" in operators(assert_folds(model).model)


def test_where_no_norm_is_nothing_changes() -> None:
    body = f"{REPEATED['Tile']} s = Add(x, t) y = MatMul(s, w)"
    numbers = {name: NUMBERS[name] for name in ("zero", "one", "ones")}
    weights = {"w": (4, 5), "table": np.ones((1, 3, 4), np.float32)}
    model = build("float[B,3,4] x => float[B,3,5] y", body, **weights, **numbers)
    assert to_bytes(fold_graph(model.clone()).model) == to_bytes(model)
