"""A gauge goes as far as it is demanded, and no further than it may."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_stays, build, fold_and_prove
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.solving.propagate import propagate
from un_deploy.graph.fold.solving.solve import solve

WEIGHTS = {"a": (4,), "b": (4,)}
SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
STAY = {
    "its value must stay": (
        SIGNATURE + ", float[B,3,4] n",
        f"{NORM} y = MatMul(n, w)",
        {"w": (4, 5)},
        "'n' is a graph output, so its value must stay",
    ),
    "two different demands": (
        "float[B,3,4] x => float[B,3,4] y",
        "h = Sigmoid(x) n = Mul(h, a) r = Relu(h) s = Add(n, r) y = Sigmoid(s)",
        {"b": np.zeros(4, np.float32)},
        "would need two different scales or shifts",
    ),
    "an operator without a rule": (
        "float[B,3,4] x => float[B,3,4] y",
        f"{NORM} y = Tanh(n)",
        {},
        "Tanh_2 (Tanh) does not commute with a scale and shift",
    ),
}


@pytest.mark.parametrize("case", STAY)
def test_where_it_ends(case: str) -> None:
    signature, body, weights, reason = STAY[case]
    assert_stays(build(signature, body, **{**WEIGHTS, **weights}), reason)


def test_a_channel_that_is_lost_twice_is_no_more_than_lost() -> None:
    """A norm behind another one, both with a dead channel, on a stream that is read in between."""
    zero = np.float32([1, 0, 2, 1])
    body = (
        "p = MatMul(x, w) m = Mul(p, a) n = Add(m, b) r = Relu(n) m2 = Mul(r, a2) y = Add(m2, b2)"
    )
    model = build(
        "float[B,3,5] x => float[B,3,4] y", body, w=(5, 4), a=zero, b=(4,), a2=zero, b2=(4,)
    )
    folded = fold_and_prove(model)
    assert len(folded.report.folded) == 1


def test_a_norm_that_would_be_divided_by_the_lost_channel_of_another() -> None:
    """The one in front folds in this round; the dead one is right behind the MatMul then."""
    swap = "Transpose<perm=[0,2,1]>"
    body = (
        f"p = MatMul(x, w) m = Mul(p, a) n = Add(m, b) s = {swap}(n) t = Neg(s) u = {swap}(t)"
        " y = Mul(u, a2)"
    )
    dead = np.float32([1, 0, 2, 1])
    model = build("float[B,3,5] x => float[B,3,4] y", body, w=(5, 4), a=(4,), b=(4,), a2=dead)
    view = GraphView(model, Constants(model), Shapes(model))
    refusals = solve(view, "backward").refusals
    assert "Mul_1 loses a channel on the way of another norm" in refusals.values()
    assert len(fold_and_prove(model).report.folded) == 2


def test_a_tensor_that_must_stay_is_neither_shifted_nor_is_its_sum_scaled() -> None:
    """A shift of an input is refused, and a scale of a stream that starts at one: at once."""
    body = "r = Relu(x) h = Add(x, r) q = Relu(r) s = Add(h, q) t = Tanh(s) y = MatMul(t, w)"
    model = build(SIGNATURE, body, w=(4, 5))
    view = GraphView(model, Constants(model), Shapes(model))
    values = {value.name: value for node in model.graph for value in (*node.inputs, *node.outputs)}
    one, none = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    for name, gauge in (("x", Affine(one, one)), ("s", Affine(2 * one, none))):
        value = values[name]
        assert value is not None
        with pytest.raises(Refuse, match="'x' is a graph input, so its value must stay") as refused:
            propagate(view, {value: gauge}, lambda site: False)
        assert "(" not in str(refused.value)  # said of the tensor itself
        assert (value in view.pinned) == (name == "x") and value in view.unscaled
