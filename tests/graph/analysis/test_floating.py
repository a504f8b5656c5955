"""Floating types: which hold which, and arrays widened to float64."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.floating import is_floating, is_real, keeps_all, widen


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_real_numbers_are_widened(dtype: type) -> None:
    assert widen(np.ones(2, dtype)).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.int8])
def test_other_numbers_are_left(dtype: type) -> None:
    assert widen(np.ones(2, dtype)).dtype == dtype


def test_is_floating() -> None:
    model = build("float[2] x, int64[2] i, bool b => float[2] y", "y = Neg(x)")
    assert [is_floating(v.dtype) for v in model.graph.inputs] == [True, False, False]
    assert not is_floating(None)


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4])
def test_types_for_storing_only_are_not_computed_with(dtype: type) -> None:
    array = np.ones(2, dtype)
    assert not is_real(array)
    assert widen(array).dtype == dtype


def test_which_types_hold_which() -> None:
    types = ("FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE", "INT64")
    held = {
        (a, b) for a in types for b in types if keeps_all(ir.DataType[a], ir.DataType[b]) and a != b
    }
    halves = {(half, wide) for half in types[:2] for wide in types[2:4]}
    assert held == {*halves, ("FLOAT", "DOUBLE")}
    assert not keeps_all(None, ir.DataType.DOUBLE)
