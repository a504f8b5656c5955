"""Along which axes a scale and shift pass a product with a constant, or go into it."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_stays, build

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


REFUSALS = {
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
