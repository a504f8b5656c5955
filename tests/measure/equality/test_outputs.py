"""How far apart two arrays are, whatever they hold."""

from __future__ import annotations

import math

import numpy as np
import pytest

from un_deploy.measure.equality.outputs import relative_error

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("expected", "found", "error"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0),
        ([1.0, -4.0], [1.5, -4.0], 0.125),  # of the largest entry
        ([0.0, 0.0], [0.25, 0.0], 0.25),
        ([NAN, 2.0], [NAN, 2.0], 0),
        ([INF, -INF, 2.0], [INF, -INF, 3.0], 0.5),
        ([INF, 2.0], [-INF, 2.0], INF),
        ([NAN, 2.0], [1.0, 2.0], INF),
        ([1.0, 2.0], [1.0, NAN], INF),
        ([NAN, 2.0], [INF, 2.0], INF),
        ([1.0, 2.0], [1.0], INF),
        ([], [], 0),
    ],
)
def test_floats(expected: list[float], found: list[float], error: float) -> None:
    for dtype in (np.float32, np.float64):
        assert relative_error(np.array(expected, dtype), np.array(found, dtype)) == error


def test_integers_booleans_and_strings_by_the_share_that_differs() -> None:
    assert relative_error(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25
    assert relative_error(np.array([True, False]), np.array([True, True])) == 0.5
    assert relative_error(np.array(["a", "b"], object), np.array(["a", "b"], object)) == 0
