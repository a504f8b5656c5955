"""Constant sub-expressions: which they are, their float64 values, their stored types."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.constants import Constants, rounded


def value_of(model: ir.Model, name: str) -> ir.Value:
    named = [*model.graph.inputs, *model.graph.initializers.values()]
    named += [value for node in model.graph for value in node.outputs]
    return next(value for value in named if value.name == name)


def test_a_norms_scale_is_computed_in_float64() -> None:
    body = "v = Add(var, eps) s = Sqrt(v) a = Div(w, s) y = Mul(x, a)"
    var, eps = np.float32([1.5, 2.5]), np.float32(1e-5)
    model = build("float[2] x => float[2] y", body, var=var, eps=np.array(eps), w=(2,))
    constants = Constants(model)
    w = value_of(model, "w").const_value.numpy().astype(np.float64)
    expected = w / np.sqrt(var.astype(np.float64) + np.float64(eps))
    np.testing.assert_array_equal(constants[value_of(model, "a")], expected)
    assert value_of(model, "y") not in constants
    with pytest.raises(KeyError):
        constants[value_of(model, "y")]


def test_what_the_caller_may_override_is_not_constant() -> None:
    model = build("float[2] x => float[2] y", "n = Neg(a) y = Mul(x, n)", a=(2,))
    model.graph.inputs.append(model.graph.initializers["a"])
    constants = Constants(model)
    assert value_of(model, "a") not in constants
    assert value_of(model, "n") not in constants


@pytest.mark.parametrize(
    "made", ["r = RandomNormal<shape=[2]>()", "r = Bernoulli(c)", "r = Dropout(c)"]
)
def test_what_may_differ_from_run_to_run_is_not_constant(made: str) -> None:
    model = build("float[2] x => float[2] y", f"{made} y = Mul(x, r)", c=(2,))
    assert value_of(model, "r") not in Constants(model)


def test_a_replaced_constant_keeps_its_unrounded_value() -> None:
    model = build("float[2] x => float[2] y", "y = Mul(x, a)", a=(2,))
    constants, value = Constants(model), value_of(model, "a")
    before = constants[value]
    third = np.array([1 / 3, 1 / 7])
    constants.replaced(value, lambda: third)
    np.testing.assert_array_equal(constants[value], third)
    np.testing.assert_array_equal(constants.exact(value)(), third)
    assert not np.array_equal(before, third)


def test_exact_is_what_was_there_whatever_becomes_of_the_graph() -> None:
    model = build("float[2] x => float[2] y", "y = Mul(x, a)", a=(2,))
    constants, value = Constants(model), value_of(model, "a")
    exact, before = constants.exact(value), constants[value]
    value.const_value = ir.tensor(np.zeros(2, np.float32))
    np.testing.assert_array_equal(exact(), before)


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        ("c = Identity(w)", ir.DataType.FLOAT16),
        ("c = Cast<to=1>(w)", ir.DataType.FLOAT),
        ("c = Where(k, w, w)", ir.DataType.FLOAT16),
        ("d = Cast<to=11>(i) c = Neg(d)", ir.DataType.DOUBLE),
        ("c = Constant<value_float=1.0>()", ir.DataType.FLOAT),
        ("c = ConstantOfShape(i)", ir.DataType.FLOAT),
        ("c = Shape(w)", ir.DataType.INT64),
        ("c = RandomNormal<shape=[2]>()", ir.DataType.UNDEFINED),
    ],
)
def test_the_type_of_a_computed_constant(made: str, dtype: ir.DataType) -> None:
    w, k = np.float16([1, 2]), np.array([True, False])
    model = build("float[2] x => float[2] x2", f"{made} x2 = Neg(x)", w=w, k=k, i=[1, 2])
    assert Constants(model).dtype(value_of(model, "c")) == dtype


def test_rounded_is_the_nearest_number_of_the_type() -> None:
    third = np.array([1 / 3])
    assert rounded(third, ir.DataType.FLOAT)[0] == np.float32(1 / 3)
    assert rounded(third, ir.DataType.BFLOAT16)[0] == ml_dtypes.bfloat16(1 / 3)
    assert np.isinf(rounded(np.array([1e5]), ir.DataType.FLOAT16)[0])
