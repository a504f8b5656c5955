"""Along which axes a scale and shift pass a product with a constant, or go into it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_stays, build
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import OUT, Refuse, into

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


REFUSALS = {
    "an axis that it sums, and its constant lacks": (
        "float[2,3,4] x => float[2,5] y",
        NORM + ' y = Einsum<equation="abc,cd->ad">(n, w)',
        {"a": (3, 1), "b": (4,), "w": (4, 5)},
        "it sums over axis 1, along which the scale or shift varies",
    ),
    "a scale of 0 along an axis that its constant lacks": (
        "float[2,3,4] x => float[2,3,5] y",
        "n = Mul(x, a) y = MatMul(n, w)",
        {"a": np.float32([[1], [0], [2]]), "w": (4, 5)},
        "a scale of 0 varies along axis 1, which its constant lacks",
    ),
    "two computed operands": (
        "float[3,4] x, float[4,5] z => float[3,5] y",
        NORM + " y = MatMul(n, z)",
        {"a": (4,), "b": (4,)},
        "it is no product of a computed and a constant operand",
    ),
    "three operands": (
        "float[3,4] x => float[3,5] y",
        NORM + ' y = Einsum<equation="ab,bc,c->ac">(n, w, v)',
        {"a": (4,), "b": (4,), "w": (4, 5), "v": (5,)},
        "it is no product of a computed and a constant operand",
    ),
    "an operand of contradicted shape": (
        "float[B,3,4] x => float[B,3,5] y",
        "k = Neg(x) p = MatMul(k, w) m = Mul(p, a) y = Add(m, b)",
        {"a": (5,), "b": (5,), "w": (4, 5), "claims": "float[7] k"},
        "the shape of 'k' is unknown",
    ),
    "an axis of two sizes": (
        "float[B,2,3,4] x => float[B,2,3,5] y",
        NORM + ' y = Einsum<equation="bhnc,hcd->bhnd">(n, w)',
        {"a": (4,), "b": (4,), "w": (1, 4, 5)},
        "an axis is not known to have one size in both operands",
    ),
    "a diagonal": (
        "float[B,4,4] x => float[B,5] y",
        NORM + ' y = Einsum<equation="bii,ic->bc">(n, w)',
        {"a": (4,), "b": (4,), "w": (4, 5)},
        "an axis occurs in it in another way than once an operand",
    ),
    "a head's scale that the weight has not": (
        "float[B,2,3,4] x => float[B,2,3,5] y",
        NORM + " y = MatMul(n, w)",
        {"a": (2, 1, 4), "b": (4,), "w": (1, 4, 5)},
        "the scale varies along axis 1 and along the channels",
    ),
    "columns scaled in front of a weight on the left": (
        "float[B,4,4] x => float[B,3,4] y",
        NORM + " p = MatMul(w, n) y = Sigmoid(p)",
        {"a": (4,), "b": (4,), "w": (3, 4)},
        "(Sigmoid) does not commute",
    ),
    "tokens scaled, as many as channels": (
        "float[B,4,4] x => float[B,4,5] y",
        NORM + " p = MatMul(n, w) y = Sigmoid(p)",
        {"a": (4, 1), "b": (4, 1), "w": (4, 5)},
        "(Sigmoid) does not commute",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


def test_what_passes_is_the_same_at_both_ends() -> None:
    model = build("float[2,3,4] x => float[2,3,5] y", "y = MatMul(x, w)", w=(4, 5))
    view = GraphView(model, Constants(model), Shapes(model))
    (unit,) = view.units
    assert unit.rule is not None
    rows = Affine(np.array([[[1.0], [2.0], [3.0]]]), np.zeros((1, 1, 1)))
    assert list(unit.rule.transport(unit, {into(0): rows, OUT: rows}, view)) == []
    with pytest.raises(Refuse, match="what passes along the axes that its constant lacks differs"):
        list(unit.rule.transport(unit, {into(0): rows, OUT: Affine.identity(3)}, view))
