"""Rounding to a half type, entry by entry: the same in chunks as in one go."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.graph.precision import rounding as module
from un_deploy.graph.precision.rounding import Entry, Narrowing, narrowed, narrowing

FP16, BF16 = ir.DataType.FLOAT16, ir.DataType.BFLOAT16


@pytest.fixture(params=[1 << 22, 4], ids=["whole", "in chunks"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
def test_the_first_of_each_kind_is_named() -> None:
    array = np.ones((3, 5), np.float32)
    array[1, 3], array[2, 4] = 65520, -1e9  # 65519 is rounded down to the largest number
    array[:, 0] = 2.0**-26
    found = narrowing(array, FP16)
    assert found.overflow == Entry(65520.0, (1, 3))
    assert found.flush == Entry(2.0**-26, (0, 0))
    assert str(found.overflow) == "65520 at [1, 3]"
    array[1, 3] = 65519
    assert narrowing(array, FP16).overflow == Entry(-1e9, (2, 4))


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize(("dtype", "digits"), [(FP16, 11), (BF16, 8)])
def test_normal_numbers_lose_half_a_unit_at_most(dtype: ir.DataType, digits: int) -> None:
    array = np.random.default_rng(0).uniform(1, 2, 1000).astype(np.float32)
    found = narrowing(array, dtype)
    assert 0.9 * 2.0**-digits < found.worst_relative_error <= 2.0**-digits
    assert (found.subnormal, found.flushed) == (0, 0)


def test_ties_go_to_even() -> None:
    ties = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11], np.float32)
    held = narrowed(ir.Tensor(ties), FP16, "w").numpy()
    assert held.tolist() == [1.0, 1 + 2.0**-9]
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8], np.float32)
    held = narrowed(ir.Tensor(ties), BF16, "w").numpy().astype(np.float32)
    assert held.tolist() == [1.0, 1 + 2.0**-6]


@pytest.mark.usefixtures("chunk")
def test_what_becomes_zero_is_below_the_rounding_of_its_row_and_column() -> None:
    """2^-25 is the largest number that becomes 0, and the rounding error of 2^-14, at most."""
    array = np.full((2, 2), 2.0**-14, np.float32)
    array[0, 0] = 2.0**-25
    assert narrowing(array, FP16) == Narrowing(flushed=1)
    array[0, 1] = 2.0**-14 * 0.99
    assert narrowing(array, FP16).flush == Entry(2.0**-25, (0, 0))


def test_normally_distributed_weights_pass() -> None:
    array = np.random.default_rng(0).normal(0, 0.02, (100, 30000)).astype(np.float32)
    found = narrowing(array, FP16)
    assert found.flushed == np.count_nonzero(np.abs(array) <= 2.0**-25) > 0
    assert found.overflow is found.flush is None
    assert narrowing(array, BF16).flushed == 0


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)])
def test_scalars_and_nothing(shape: tuple[int, ...]) -> None:
    assert narrowing(np.zeros(shape, np.float32), FP16) == Narrowing()
    assert narrowed(ir.Tensor(np.zeros(shape, np.float32)), FP16, "w").shape == shape
