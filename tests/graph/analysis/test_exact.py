"""Constants in float64: parts give what the whole gives, bit for bit, and bounds tell the truth."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.exact import EVERY, WHOLE, Exact, store

ROWS, COLUMNS = 300, 700  # 210,000 entries: several parts
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((ROWS, COLUMNS), dtype=np.float32)
ROW, COLUMN = RNG.uniform(0.5, 2, (1, COLUMNS)), RNG.uniform(0.5, 2, (ROWS, 1))


def initializer(array: np.ndarray, dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
    tensor = ir.Tensor(array.astype(dtype.numpy()), dtype=dtype, name="w")
    return ir.val("w", dtype, array.shape, const_value=tensor)


def exact(array: np.ndarray, dtype: ir.DataType = ir.DataType.FLOAT) -> Exact:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 20})
    return Exact.of(initializer(array, dtype), Constants(ir.Model(graph, ir_version=10)))


def in_parts(of: Exact) -> np.ndarray:
    read, array = of.read(), np.full(of.shape, np.nan)
    for part in of.parts():
        array[part] = read(part)
    return array


def test_the_parts_of_a_large_constant_are_all_of_it() -> None:
    parts = list(exact(WEIGHT).parts())
    assert len(parts) == 4 and parts[0] == (slice(0, 93),)
    np.testing.assert_array_equal(in_parts(exact(WEIGHT)), WEIGHT)


@pytest.mark.parametrize("shape", [(), (0, 5), (7,), (1, 3, 4)])
def test_a_small_constant_is_one_part(shape: tuple[int, ...]) -> None:
    small = exact(np.ones(shape))
    assert list(small.parts()) == [WHOLE]
    np.testing.assert_array_equal(small(), np.ones(shape))


def test_scaled_multiplies_and_divides_part_by_part() -> None:
    expected = COLUMN * WEIGHT.astype(np.float64) / ROW
    scaled = exact(WEIGHT).scaled(COLUMN, ROW)
    np.testing.assert_array_equal(in_parts(scaled), expected)
    np.testing.assert_array_equal(scaled(), expected)
    np.testing.assert_array_equal(scaled.read()((EVERY, slice(3, 5))), expected[:, 3:5])


def test_through_a_gauge_and_scaled_again() -> None:
    gauge = Affine(ROW, COLUMN)  # old = ROW * new + COLUMN
    once = exact(WEIGHT).through(gauge)
    expected = (WEIGHT.astype(np.float64) - COLUMN) / ROW
    np.testing.assert_array_equal(in_parts(once), expected)
    np.testing.assert_array_equal(in_parts(once.scaled(COLUMN, ROW)), COLUMN * expected / ROW)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_vector_times_a_matrix(transposed: bool) -> None:
    vector = RNG.standard_normal(COLUMNS if transposed else ROWS)
    matrix = WEIGHT.astype(np.float64)
    expected = vector @ (matrix.T if transposed else matrix)
    found = exact(WEIGHT).times(vector, transposed=transposed)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_what_can_only_be_computed_whole_is_computed_once() -> None:
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return COLUMN * ROW

    whole = Exact.whole(compute, (ROWS, COLUMNS))
    np.testing.assert_array_equal(in_parts(whole), COLUMN * ROW)
    np.testing.assert_array_equal(whole(), COLUMN * ROW)
    assert len(calls) == 1


@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE"])
def test_the_largest_absolute_value_of_a_stored_constant(dtype: str) -> None:
    array = np.array([[1.5, -2.75], [0.0, 2.0]])
    assert exact(array, ir.DataType[dtype]).largest == 2.75
    array[1, 0] = np.nan
    assert np.isnan(exact(array, ir.DataType[dtype]).largest)
    assert exact(np.array([-np.inf, 1]), ir.DataType[dtype]).largest == np.inf


def test_bounds_hold_for_what_is_computed() -> None:
    scaled = exact(WEIGHT).scaled(COLUMN, ROW)
    assert np.max(np.abs(scaled())) <= scaled.largest <= 4.01 * np.max(np.abs(WEIGHT))
    moved = exact(WEIGHT).through(Affine(ROW, COLUMN))
    assert np.max(np.abs(moved())) <= moved.largest


def test_whether_it_fits_its_type() -> None:
    large = exact(np.full((ROWS, COLUMNS), 60000.0))
    one, half = np.ones((1, 1)), np.full((1, 1), 0.5)
    assert large.fits(ir.DataType.FLOAT16)
    assert not large.scaled(one, half).fits(ir.DataType.FLOAT16)
    assert large.scaled(one, half).fits(ir.DataType.BFLOAT16)
    # The bound, 65536 * 2, says no; the entries, which are the only ones that know, say yes.
    mixed = exact(np.array([[65536.0, 1.0]])).scaled(np.array([[0.5, 2.0]]), one)
    assert mixed.largest == 131072 and mixed.fits(ir.DataType.FLOAT16)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_fits_no_type(bad: float) -> None:
    array = WEIGHT.copy()
    array[200, 3] = bad
    assert not exact(array).scaled(COLUMN, ROW).fits(ir.DataType.FLOAT)
    with np.errstate(divide="ignore"):
        assert not exact(WEIGHT).scaled(COLUMN, np.zeros((1, 1))).fits(ir.DataType.FLOAT)


def test_store_rounds_once_and_tells_the_change() -> None:
    value = initializer(WEIGHT)
    before = exact(WEIGHT)
    new = before.scaled(COLUMN, ROW)
    change = store(value, new, before)
    assert value.const_value is not None
    np.testing.assert_array_equal(value.const_value.numpy(), new().astype(np.float32))
    assert change == np.max(np.abs(new() - WEIGHT)) / np.max(np.abs(WEIGHT))


def test_store_of_a_constant_that_grew_was_zero_or_was_not_there() -> None:
    grown = Exact.whole(lambda: np.array([[1.0, 4.0], [1.0, 3.0]]), (2, 2))
    value = initializer(np.zeros((2, 2)))
    assert store(value, grown, exact(np.array([2.0, 2.0]))) == 1.0
    assert store(value, grown, exact(np.zeros((2, 2)))) is None
    assert store(value, grown, None) is None
