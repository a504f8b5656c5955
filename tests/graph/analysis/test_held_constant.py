"""A constant that a file holds is found behind Identity, and no other is."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.held_constant import held_constant

HELD = {
    "an initializer": "k = Identity(w)",
    "a Constant's tensor": "k = Constant<value = float[2] {1, 2}>()",
    "a Constant's list": "k = Constant<value_floats = [1.0, 2.0]>()",
    "behind Identities": "c = Constant<value_floats=[1.0, 2.0]>() i = Identity(c) k = Identity(i)",
}


@pytest.mark.parametrize("case", HELD)
def test_what_is_held(case: str) -> None:
    weights = {"w": np.array([1, 2], np.float32)} if "(w)" in HELD[case] else {}
    graph = build("float[2] x => float[2] y", f"{HELD[case]} y = Add(x, k)", **weights).graph
    tensor = held_constant(graph.node(-1).inputs[1])
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), np.array([1, 2], np.float32))


def test_what_is_computed_or_given_is_not() -> None:
    graph = build("float[2] x => float[2] y", "k = Neg(w) y = Add(x, k)", w=(2,)).graph
    assert held_constant(graph.node(-1).inputs[1]) is None
    assert held_constant(graph.inputs[0]) is None
    assert held_constant(None) is None
