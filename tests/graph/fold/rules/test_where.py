"""Where chooses: both branches have one gauge, and a constant takes any."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

SIGNATURE = "float[B,3,4] x, bool[B,3,1] keep => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("op", ["Where(keep, n, fill)", "Where(keep, fill, n)"])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 4)])
def test_a_fill_takes_the_norm(op: str, shape: tuple[int, ...]) -> None:
    body = f"{NORM} t = {op} y = MatMul(t, w)"
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, fill=shape))
    assert operators(folded.model) == ["Where", "MatMul", "Add"]


def test_two_branches() -> None:
    body = "p = MatMul(x, v) q = MatMul(x, u) t = Where(keep, p, q) m = Mul(t, a) y = Add(m, b)"
    weights = {"v": (4, 5), "u": (4, 5), "a": (5,), "b": (5,)}
    assert_folds(build(SIGNATURE, body, **weights))


@pytest.mark.parametrize("number", [-np.inf, np.inf, np.nan])
def test_what_marks_places_is_no_number(number: float) -> None:
    """Behind it a maximum over the tokens, which all of it would be lost in otherwise."""
    fill = np.full((1,), number, np.float32)
    body = f"{NORM} t = Where(keep, n, fill) r = ReduceMax<keepdims=0>(t, i) y = MatMul(r, w)"
    model = build(SIGNATURE.replace("B,3,5", "B,5"), body, **WEIGHTS, fill=fill, i=[1])
    folded = fold_graph(model.clone())
    assert folded.report.folded and prove(model, folded).passed
    (new,) = [value for name, value in folded.exact.items() if name.startswith("fill")]
    assert new().shape == (4,) and np.array_equal(np.isnan(new()), np.isnan([number] * 4))


def test_a_condition_of_few_entries_is_drawn_until_it_was_true() -> None:
    signature = "float[2,3,4] x, bool[1,1,1] keep => float[2,3,5] y"
    body = f"r = ReduceMin(x, i) {NORM.replace('x', 'r')} t = Where(keep, n, fill) y = MatMul(t, w)"
    model = build(signature.replace("2,3,5", "2,1,5"), body, **WEIGHTS, fill=(), i=[1])
    assert_folds(model)


REFUSALS = {
    "another branch that is an input": (
        "float[B,3,4] x, float[B,3,4] z, bool[B,3,1] keep => float[B,3,5] y",
        f"{NORM} t = Where(keep, n, z) y = MatMul(t, w)",
        "'z' is a graph input",
    ),
    "a branch that repeats along the channels": (
        "float[B,3,4] x, float[B,3,1] z, bool[B,3,1] keep => float[B,3,5] y",
        f"{NORM} t = Where(keep, n, z) y = MatMul(t, w)",
        "'z' is broadcast along axis 2",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, reason = REFUSALS[case]
    assert_stays(build(signature, body, **WEIGHTS), reason)
