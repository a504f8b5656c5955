"""A constant that is stored as large as the tensor may be one number a channel all the same."""

from __future__ import annotations

import numpy as np

from tests.support.graphs import assert_folds, assert_stays, build, fold_and_prove, operators

ROW = np.float32([1, 2, 3, 4])


def norm(scale: np.ndarray, shift: np.ndarray):
    return build(
        "float[B,3,4] x => float[B,3,5] y",
        "m = Mul(x, a) n = Add(m, b) y = MatMul(n, w)",
        a=scale,
        b=shift,
        w=(4, 5),
    )


def test_rows_that_are_all_alike_are_one() -> None:
    assert_folds(norm(np.tile(ROW, (3, 1)), np.tile(ROW, (1, 3, 1))))
    assert_folds(norm(np.tile(ROW, (3, 1)), ROW))


def test_rows_that_differ_are_not() -> None:
    rows = np.tile(ROW, (3, 1))
    rows[1, 2] += 1
    assert_stays(norm(rows, ROW), "the scale varies along axis 1 and along the channels")
    assert operators(fold_and_prove(norm(ROW, rows)).model) == ["Add", "MatMul"]


def test_in_front_of_a_convolution() -> None:
    image = np.broadcast_to(ROW.reshape(4, 1, 1), (4, 6, 6)).copy()
    body = "n = Mul(x, a) y = Conv(n, w)"
    signature = "float[B,4,6,6] x => float[B,5,6,6] y"
    assert_folds(build(signature, body, a=image, w=(5, 4, 1, 1)))


def test_one_number_for_all_channels_is_still_a_norm() -> None:
    """Its shape says so: a scale that was never trained is 1 in every channel."""
    assert_folds(norm(np.full(4, 2, np.float32), np.full(4, 3, np.float32)))
