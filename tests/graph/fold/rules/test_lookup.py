"""GatherND and GatherElements look entries up; what is alike where they look passes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators

WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("lookup", ["GatherND(table, ids)", "GatherElements(table, all)"])
def test_a_table_takes_the_norm(lookup: str) -> None:
    ids = "int64[B,5,1] ids" if "ids" in lookup else "int64[7,4] all"
    out = "B,5,4" if "ids" in lookup else "7,4"
    body = f"x = {lookup} {NORM} y = Sigmoid(n)"
    model = build(f"{ids} => float[{out}] y", body, a=(4,), b=(4,), table=(6, 4))
    assert operators(assert_folds(model).model) == [lookup.split("(")[0], "Sigmoid"]


def test_indices_of_two_axes() -> None:
    body = f"x = GatherND(table, ids) {NORM} y = Sigmoid(n)"
    model = build("int64[B,2] ids => float[B,4] y", body, a=(4,), b=(4,), table=(3, 3, 4))
    assert_folds(model)


@pytest.mark.parametrize(("batch", "index"), [(0, [[0, 5], [1, 2]]), (1, [[[0], [5]], [[1], [2]]])])
def test_forward(batch: int, index: list) -> None:
    body = f"{NORM} t = GatherND<batch_dims={batch}>(n, i) y = MatMul(t, w)"
    out = "2,5" if batch == 0 else "2,2,5"
    model = build(f"float[2,6,4] x => float[{out}] y", body, **WEIGHTS, i=np.array(index))
    assert_folds(model)


def test_elements_forward_at_computed_indices() -> None:
    body = f"{NORM} t = GatherElements<axis=1>(n, i) y = MatMul(t, w)"
    assert_folds(build("float[2,6,4] x, int64[2,3,4] i => float[2,3,5] y", body, **WEIGHTS))


REFUSALS = {
    "channels are looked up": (
        "float[2,6,4] x => float[2] y",
        f"{NORM} y = GatherND(n, i)",
        {"a": (4,), "b": (4,), "i": np.array([[0, 1, 2], [1, 0, 3]])},
        "it looks up along an axis on which the scale varies",
    ),
    "elements of channels": (
        "float[2,6,4] x, int64[2,6,4] i => float[2,6,4] y",
        f"{NORM} y = GatherElements<axis=-1>(n, i)",
        {"a": (4,), "b": (4,)},
        "it looks up along an axis on which the scale varies",
    ),
    "indices of unknown shape": (
        "float[2,6,4] x, int64[2,1] z => float[2,4] y",
        f"i = Identity(z) {NORM} y = GatherND(n, i)",
        {"a": (4,), "b": (4,), "claims": "int64[7] i"},
        "the shape of what it looks up in is unknown",
    ),
    "an unknown number of axes": (
        "float[2,6,4] x, int64[2,D] i => float[] y",
        f"{NORM} y = GatherND(n, i)",
        {"a": (4,), "b": (4,)},
        "it is not known in how many axes it looks up",
    ),
    "elements of a result of unknown shape": (
        "float[2,6,4] x, int64[2,6,4] i => float[2,6,5] y",
        f"{NORM} g = GatherElements<axis=1>(n, i) y = MatMul(g, w)",
        {"a": (4,), "b": (4,), "w": (4, 5), "claims": "float[7] g"},
        "the shape of what it looks up in is unknown",
    ),
    "a part of the channels": (
        "float[2,6,4] x, int64[2,6,3] i => float[2,6,3] y",
        f"{NORM} y = GatherElements<axis=1>(n, i)",
        {"a": (4,), "b": (4,)},
        "it leaves out a part of an axis on which the scale varies",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)
