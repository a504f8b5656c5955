"""Affines in a row that cannot leave become one, and compute what they computed."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import build, fold_and_prove, operators

IMAGES = "float[B,4,8,8] x, float[B,4,8,8] z => float[B,4,8,8] y, float[B,4,8,8] s"
NORM = "d = BatchNormalization<epsilon=0.01>(s, a, b, u, av)"
PER_CHANNEL = {"a": (4,), "b": (4,), "u": (4,), "av": (4,), "g": (4, 1, 1), "i": (4, 1, 1)}

ROWS = {
    "a batch norm, a scale and a shift, as DenseNet was converted": (
        f"{NORM} e = Mul(d, g) h = Add(e, i)",
        ["BatchNormalization"],
    ),
    "a batch norm and a scale": (f"{NORM} h = Mul(d, g)", ["BatchNormalization"]),
    "two batch norms": (
        f"{NORM} h = BatchNormalization(d, b, a, u, av)",
        ["BatchNormalization"],
    ),
    "a batch norm beside its input": (f"{NORM} h = Add(d, s)", ["BatchNormalization"]),
    "a norm, as it is written out": (
        "e = Div(s, av1) f = Mul(e, g) h = Add(f, i)",
        ["Mul", "Add"],
    ),
    "a centred one": ("e = Sub(s, i) f = Mul(e, g) h = Add(f, i)", ["Mul", "Add"]),
    "scales alone": ("e = Mul(s, g) f = Div(e, av1) h = Mul(f, g)", ["Mul"]),
    "what a scale takes away": ("e = Mul(s, g) h = Sub(s, e)", ["Mul"]),
    "a scale along the rows": ("e = Mul(s, r) f = Mul(e, r) h = Sub(r, f)", ["Mul", "Add"]),
    "a scale before a batch norm": (
        f"s1 = Mul(s, g) s2 = Add(s1, i) {NORM.replace('(s,', '(s2,')} h = Mul(d, g)",
        ["Mul", "Add"],
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_they_become_one(case: str) -> None:
    body, left = ROWS[case]
    given = PER_CHANNEL | {"av1": (4, 1, 1), "r": (8, 1)}
    used = {n: shape for n, shape in given.items() if f" {n})" in body or f" {n}," in body}
    used |= {n: shape for n, shape in given.items() if f"({n}," in body}
    model = build(IMAGES, f"s = Add(x, z) {body} y = Relu(h)", **used)
    folded = fold_and_prove(model)
    assert operators(folded.model) == ["Add", *left, "Relu"]
    (site,) = folded.report.stayed
    assert site.reason.endswith(f"shortened to {' and '.join(left)}")
    assert {change.node for change in folded.report.changes} == {site.node}
    assert folded.report.gained_biases == ()


def test_it_may_end_in_an_output_of_the_graph() -> None:
    body = "s = Add(x, z) e = Div(s, g) f = Mul(e, g2) y = Add(f, i)"
    shapes = {"g": (4, 1, 1), "g2": (4, 1, 1), "i": (4, 1, 1)}
    model = build(IMAGES, body, **shapes)
    folded = fold_and_prove(model)
    assert operators(folded.model) == ["Add", "Mul", "Add"]
    assert folded.model.graph[-1].name == "Add_3"


def test_a_shape_that_is_read_inside_is_read_before() -> None:
    body = "s = Add(x, z) e = Div(s, g) q = Shape(e) f = Mul(e, i) y = Add(f, i)"
    signature = IMAGES.replace("float[B,4,8,8] s", "int64[4] q")
    folded = fold_and_prove(build(signature, body, g=(4, 1, 1), i=(4, 1, 1)))
    assert sorted(operators(folded.model)) == ["Add", "Add", "Mul", "Shape"]


def test_a_norm_that_is_kept_stays_as_it_is() -> None:
    body = "s = Add(x, z) e = Div(s, g) f = Mul(e, g) y = Add(f, i)"
    model = build(IMAGES, body, g=(4, 1, 1), i=(4, 1, 1))
    folded = fold_and_prove(model, keep=("Add_3",))
    assert operators(folded.model) == ["Add", "Div", "Mul", "Add"]


def test_in_fp16_what_is_centred_first_stays_centred() -> None:
    """(x - 1000) * 200 is small where x is about 1000; 200 x is beyond what fp16 holds."""
    body = "s = Add(x, z) e = Sub(s, i) f = Mul(e, g) y = Add(f, i)"
    signature = IMAGES.replace("float[", "float16[")
    constants = {"g": np.full((4, 1, 1), 200), "i": np.full((4, 1, 1), 1000)}
    halves = {name: array.astype(np.float16) for name, array in constants.items()}
    folded = fold_and_prove(build(signature, body, **halves), eps=2.0**-10)
    assert operators(folded.model) == ["Add", "Sub", "Mul", "Add"]


def test_what_the_type_does_not_hold_stays_apart() -> None:
    body = "s = Add(x, z) e = Mul(s, g) f = Mul(e, g) y = Mul(f, k)"
    tiny = np.full((4, 1, 1), 1e-25, np.float32)
    model = build(IMAGES, body, g=tiny, k=np.full((4, 1, 1), 1e30, np.float32))
    assert operators(fold_and_prove(model).model) == ["Add", "Mul"]
    tinier = build(IMAGES, body.replace("Mul(f, k)", "Mul(f, g)"), g=tiny)
    assert operators(fold_and_prove(tinier).model) == ["Add", "Mul", "Mul", "Mul"]


def test_in_an_opset_that_is_not_known_nothing_changes() -> None:
    body = "s = Add(x, z) e = Mul(s, g) f = Mul(e, i) y = Mul(f, g)"
    for array in (np.full((4, 1, 1), 2, np.float32), np.ones((4, 1, 1), np.float32)):
        folded = fold_and_prove(build(IMAGES, body, opset=6, g=array, i=array))
        assert operators(folded.model) == ["Add", "Mul", "Mul", "Mul"]
        assert "what it computes in opset 6 is not known" in folded.report.stayed[0].reason
