"""What is saved is the exact number rounded to its type, or its neighbour; nothing else is."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.graph.analysis import exact as parts
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.proof.saved import saved_difference

TYPES = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
EXACT = np.random.default_rng(0).standard_normal((3, 40)) * 10.0 ** np.arange(-2, 2).repeat(10)


def stepped(array: np.ndarray, steps: int) -> np.ndarray:
    """Every number some steps of its type further from zero."""
    bits = array.view(f"i{array.dtype.itemsize}")
    return (bits + steps).view(array.dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_one_unit_in_the_last_place_is_rounding_two_are_not(dtype: type) -> None:
    right = EXACT.astype(dtype)
    for steps in (-1, 0, 1):
        assert saved_difference(ir.tensor(stepped(right, steps)), Exact.held(EXACT)) == ""
    for steps in (-2, 2):
        assert "at [0, 0], the fold gives" in saved_difference(
            ir.tensor(stepped(right, steps)), Exact.held(EXACT)
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_one_entry_is_enough_and_is_named(dtype: type) -> None:
    array = EXACT.astype(dtype)
    array[2, 17] = 1.01 * array[2, 17]
    assert "at [2, 17]" in saved_difference(ir.tensor(array), Exact.held(EXACT))


def test_every_part_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_ENTRIES", 40)
    assert saved_difference(ir.tensor(EXACT.astype(np.float32)), Exact.held(EXACT)) == ""
    for place in ((0, 0), (0, 39), (1, 0), (2, 39)):
        array = EXACT.astype(np.float32)
        array[place] += 1
        assert f"at {list(place)}" in saved_difference(ir.tensor(array), Exact.held(EXACT))


def test_a_changed_sign_is_seen_but_that_of_zero_is_none() -> None:
    tiny = np.array([1e-45, 0.0], np.float32)
    exact = tiny.astype(np.float64)
    assert saved_difference(ir.tensor(-tiny), Exact.held(exact * 1e3))
    assert saved_difference(ir.tensor(np.array([1e-45, -0.0], np.float32)), Exact.held(exact)) == ""


def test_infinity_is_far_from_the_largest_number_of_another_sign() -> None:
    exact = np.array([np.inf, 1.0])
    assert saved_difference(ir.tensor(exact.astype(np.float32)), Exact.held(exact)) == ""
    for wrong in (-np.inf, np.nan, 1.0):
        assert saved_difference(ir.tensor(np.array([wrong, 1.0], np.float32)), Exact.held(exact))


def test_nan_stands_for_nan_alone() -> None:
    nan, one = np.array([np.nan]), np.array([1.0])
    assert saved_difference(ir.tensor(nan.astype(np.float32)), Exact.held(nan)) == ""
    assert saved_difference(ir.tensor(nan.astype(np.float32)), Exact.held(one))
    assert saved_difference(ir.tensor(one.astype(np.float32)), Exact.held(nan))


def test_another_shape_is_told() -> None:
    assert saved_difference(ir.tensor(EXACT.astype(np.float32).T.copy()), Exact.held(EXACT)) == (
        "has the shape (40, 3), the fold gives (3, 40)"
    )


def test_a_number_without_axes_is_looked_at() -> None:
    assert saved_difference(ir.tensor(np.float32(3)), Exact.held(np.array(3.0))) == ""
    assert "at []" in saved_difference(ir.tensor(np.float32(3.03)), Exact.held(np.array(3.0)))
