"""Tile repeats a norm of the channels with the tensor."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators

WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("repeats", [[2, 1, 1], [1, 3, 1], [2, 3, 1], [1, 1, 1]])
def test_other_axes_are_repeated(repeats: list[int]) -> None:
    body = f"{NORM} t = Tile(n, r) y = MatMul(t, w)"
    folded = assert_folds(build("float[1,3,4] x => float[A,B,5] y", body, **WEIGHTS, r=repeats))
    assert operators(folded.model) == ["Tile", "MatMul", "Add"]


def test_channels_are_repeated() -> None:
    body = f"{NORM} t = Tile(n, r) y = MatMul(t, w)"
    weights = {**WEIGHTS, "w": (12, 5)}
    assert_folds(build("float[B,3,4] x => float[B,3,5] y", body, **weights, r=[1, 1, 3]))


def test_backward() -> None:
    body = "p = MatMul(x, w) t = Tile(p, r) m = Mul(t, a) y = Add(m, b)"
    weights = {"a": (5,), "b": (5,), "w": (4, 5)}
    assert_folds(build("float[B,3,4] x => float[B,6,5] y", body, **weights, r=[1, 2, 1]))


def test_what_it_refuses() -> None:
    body = "p = MatMul(x, w) t = Tile(p, r) m = Mul(t, a) y = Add(m, b)"
    weights = {"a": (10,), "b": (10,), "w": (4, 5)}
    model = build("float[B,3,4] x => float[B,3,10] y", body, **weights, r=[1, 1, 2])
    assert_stays(model, "it repeats along an axis on which the scale varies")
    body = f"{NORM} t = Tile(n, r) y = MatMul(t, w)"
    signature = "float[B,3,4] x, int64[3] r => float[C,D,5] y"
    assert_stays(build(signature, body, **WEIGHTS), "the shape of what it repeats is unknown")
