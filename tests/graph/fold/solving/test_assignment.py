"""Where a shift has to stay the scale goes alone: of a norm one Add is left."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, build, fold_and_prove, operators, stored
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.solving.assignment import Assignment, shift_left
from un_deploy.graph.fold.solving.solve import solve

IMAGE = {"a": (3, 1, 1), "b": (3, 1, 1)}
CASES = {
    "a padded Conv": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        f"{NORM} y = Conv<pads=[1,1,1,1]>(n, w)",
        {**IMAGE, "w": (4, 3, 3, 3)},
        ["Add", "Conv"],
    ),
    "a ConvTranspose": (
        "float[B,3,4,4] x => float[B,4,8,8] y",
        f"{NORM} y = ConvTranspose<strides=[2,2]>(n, w)",
        {**IMAGE, "w": (3, 4, 2, 2)},
        ["Add", "ConvTranspose"],
    ),
    "a BatchNormalization": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        "n = BatchNormalization(x, a, b, m, av) y = Conv<pads=[1,1,1,1]>(n, w)",
        {"a": (3,), "b": (3,), "m": (3,), "av": (3,), "w": (4, 3, 3, 3)},
        ["Add", "Conv"],
    ),
    "behind a Relu": (
        "float[B,4] x => float[B,5] y",
        "p = MatMul(x, w) r = Relu(p) m = Mul(r, a) y = Add(m, b)",
        {"a": (5,), "b": (5,), "w": (4, 5)},
        ["MatMul", "Relu", "Add"],
    ),
    "in front of a padded average": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        f"{NORM} p = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(n)"
        " y = Conv(p, w)",
        {**IMAGE, "w": (4, 3, 1, 1)},
        ["Add", "AveragePool", "Conv"],
    ),
    "a mask": (
        "float[B,6,4] x, float[B,6,1] mask => float[B,6,5] y",
        f"{NORM} p = Mul(n, mask) y = MatMul(p, w)",
        {"a": (4,), "b": (4,), "w": (4, 5)},
        ["Add", "Mul", "MatMul"],
    ),
    "a norm written the other way round": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        "s = Sub(x, b) n = Div(s, a) y = Conv<pads=[1,1,1,1]>(n, w)",
        {**IMAGE, "w": (4, 3, 3, 3)},
        ["Add", "Conv"],
    ),
    "two that follow each other": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        f"{NORM} p = Conv<pads=[1,1,1,1]>(n, w) m1 = Mul(p, a1) n1 = Add(m1, b1)"
        " y = Conv<pads=[1,1,1,1]>(n1, v)",
        {**IMAGE, "w": (4, 3, 3, 3), "v": (4, 4, 3, 3), "a1": (4, 1, 1), "b1": (4, 1, 1)},
        ["Add", "Conv", "Conv"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_add_is_left(case: str) -> None:
    signature, body, weights, left = CASES[case]
    folded = fold_and_prove(build(signature, body, **weights))
    assert operators(folded.model) == left
    shortened = [site for site in folded.report.stayed if "stays as one Add" in site.reason]
    assert len(shortened) == 1 and shortened[0].into
    assert folded.report.gained_biases == (("p",) if case == "two that follow each other" else ())


def test_the_shift_is_divided_by_the_scale_in_front_and_kept_behind() -> None:
    signature, body, weights, _ = CASES["a padded Conv"]
    model = build(signature, body, **weights)
    a, b = (stored(model.graph.initializers[name]) for name in "ab")
    folded = fold_and_prove(model)
    (shift,) = [value for name, value in folded.exact.items() if name.endswith("_shift")]
    np.testing.assert_allclose(shift(), b / a, rtol=1e-15)
    signature, body, weights, _ = CASES["behind a Relu"]
    model = build(signature, body, **weights)
    (shift,) = [v for name, v in fold_and_prove(model).exact.items() if name.endswith("_shift")]
    np.testing.assert_allclose(shift(), stored(model.graph.initializers["b"]), rtol=0)


STAY = {
    "a shift alone would be no less": (
        "float[B,3,8,8] x => float[B,4,8,8] y",
        "n = Add(x, b) y = Conv<pads=[1,1,1,1]>(n, w)",
        {"b": (3, 1, 1), "w": (4, 3, 3, 3)},
    ),
    "a sigmoid takes no scale either": (
        "float[B,4] x => float[B,4] y",
        f"{NORM} y = Sigmoid(n)",
        {"a": (4,), "b": (4,)},
    ),
    "a Relu takes no negative scale": (
        "float[B,4] x => float[B,5] y",
        f"{NORM} r = Relu(n) y = MatMul(r, w)",
        {"a": np.float32([1, -1, 2, 1]), "b": (4,), "w": (4, 5)},
    ),
    "the norm's output is read elsewhere": (
        "float[B,3,8,8] x => float[B,4,8,8] y, float[B,3,8,8] n",
        f"{NORM} y = Conv<pads=[1,1,1,1]>(n, w)",
        {**IMAGE, "w": (4, 3, 3, 3)},
    ),
}


@pytest.mark.parametrize("case", STAY)
def test_what_stays_as_it_is(case: str) -> None:
    signature, body, weights = STAY[case]
    model = build(signature, body, **weights)
    folded = fold_and_prove(model)
    assert operators(folded.model) == operators(model)


ALONE = {
    "the type does not hold what is left": (
        "float16[B,4] x => float16[B,5] y",
        f"{NORM} r = Relu(n) y = MatMul(r, w)",
        {"a": np.full(4, 0.01), "b": np.full(4, 1000.0), "w": (4, 5)},
        "the shift that stays would leave the range of FLOAT16",
    ),
}


@pytest.mark.parametrize("case", ALONE)
def test_why_a_scale_does_not_go_alone(case: str) -> None:
    """No report says so: it tells why scale and shift do not go together."""
    signature, body, weights, reason = ALONE[case]
    dtype = np.float16 if "float16" in signature else np.float32
    given = {n: a.astype(dtype) if isinstance(a, np.ndarray) else a for n, a in weights.items()}
    model = build(signature, body, dtype=dtype, **given)
    view = GraphView(model, Constants(model), Shapes(model))
    refusals = solve(view, "forward", scale_alone=True).refusals
    assert reason in refusals.values(), refusals


def test_more_than_a_shift_is_left_where_nothing_is_folded() -> None:
    model = build("float[B,4] x => float[B,4] y", f"{NORM} y = Relu(n)", a=(4,), b=(4,))
    (site,) = GraphView(model, Constants(model), Shapes(model)).sites
    with pytest.raises(Refuse, match="Mul_0 would be left with more than a shift"):
        shift_left(site, Assignment())


def test_a_norm_that_takes_in_another_stays_for_this_round() -> None:
    body = "k = Mul(x, a) n = Add(k, b) l = Mul(z, a) m = Add(l, b) s = Add(n, m) y = MatMul(s, w)"
    signature = "float[B,4] x, float[B,4] z => float[B,5] y"
    model = build(signature, body, a=(4,), b=(4,), w=(4, 5))
    solution = solve(GraphView(model, Constants(model), Shapes(model)), "forward")
    (stays,) = solution.refusals.values()
    assert stays == "it takes in the scale and shift of another norm"
    assert len(solution.assignment.vanished) == 1
