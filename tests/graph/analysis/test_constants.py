"""Constant sub-expressions: which they are, their values, their types."""

from __future__ import annotations

import tracemalloc

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.constants import LEAST_BYTES, Constants, rounded
from un_deploy.graph.analysis.shapes import Shapes


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


@pytest.mark.parametrize(
    "dtype",
    [
        np.int8,
        np.uint16,
        ml_dtypes.int4,
        ml_dtypes.float8_e4m3fn,
        np.int32,  # a bias, as quantisers write it
    ],
)
def test_a_weight_in_a_small_type_is_quantised(dtype: type) -> None:
    body = "c = DequantizeLinear(w, s) d = Transpose(c) y = Neg(x)"
    weight, scale = np.ones((3, 4), dtype), np.array(0.05, np.float32)
    model = build("float[2] x => float[2] y", body, opset=21, w=weight, s=scale)
    constants = Constants(model)
    assert constants.is_quantised(value_of(model, "d"))
    assert not constants.is_quantised(value_of(model, "s"))


SEVENTH = {"ten": np.float32([10]), "ratio": np.float32([0.7])}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("c = Cast<to=7>(m)", 7),
        ("d = Neg(m) c = Cast<to=7>(d)", -7),
        ("d = Reshape(m, one) c = Cast<to=7>(d)", 7),
        ("c = Equal(m, seven)", True),
    ],
)
def test_what_is_compared_or_cast_is_rounded_as_a_runtime_does(made: str, expected: int) -> None:
    """In float64, 10 times 0.7f is 6.9999999."""
    body = f"m = Mul(ten, ratio) {made} y = Neg(x)"
    given = {**SEVENTH, "seven": np.float32([7]), "one": [1]}
    model = build("float[2] x => float[2] y", body, **given)
    constants = Constants(model)
    assert constants[value_of(model, "c")].tolist() == [expected]
    assert constants[value_of(model, "m")].item() == 10 * np.float64(np.float32(0.7)) != 7


def test_a_weight_that_was_in_float16_is_what_float16_left_of_it() -> None:
    body = "h = Cast<to=10>(w) s = Mul(h, h) c = Cast<to=1>(s) y = Neg(x)"
    model = build("float[2] x => float[2] y", body, w=(64,))
    constants = Constants(model)
    half = value_of(model, "w").const_value.numpy().astype(np.float16)
    np.testing.assert_array_equal(constants[value_of(model, "h")], half.astype(np.float64))
    exact = half.astype(np.float64) ** 2
    np.testing.assert_array_equal(constants[value_of(model, "s")], exact)
    np.testing.assert_array_equal(constants[value_of(model, "c")], (half * half).astype(np.float64))


@pytest.mark.parametrize(
    "made",
    [
        "c = Softmax(w)",
        "c = Tanh(w)",
        "c = Gather<axis=0>(w, nine)",
        "c = Reshape(w, nine)",
        "c = Div(nine, nought)",
        "c = Add(w, nine)",
        "c = Squeeze(w, nought)",
        "f = Mul(w, huge) c = Cast<to=6>(f)",
        "c = ConstantOfShape(tera)",
        "t = Unsqueeze(w, two) c = Expand(w, tera)",
        "t = Gather<axis=0>(w, nine) c = Neg(t)",
    ],
)
def test_what_cannot_be_computed_is_not_constant(made: str) -> None:
    given = {"nine": [9], "nought": [0], "two": [2], "tera": [2**20, 2**20]}
    huge = np.float32([1e30])
    model = build("float[2] x => float[2] y", f"{made} y = Neg(x)", w=(2, 3), huge=huge, **given)
    constants = Constants(model)
    assert value_of(model, "c") not in constants
    with pytest.raises(KeyError):
        constants[value_of(model, "c")]


def test_what_has_another_shape_than_the_inferred_one_is_not_constant() -> None:
    model = build("float[2] x => float[2] y", "c = Neg(w) d = Neg(c) y = Add(x, d)", w=(2,))
    shapes, c, d = Shapes(model), value_of(model, "c"), value_of(model, "d")
    assert c in Constants(model, shapes)
    shapes.set(c, (3,))
    constants = Constants(model, shapes)
    assert c not in constants
    assert d not in constants


def test_a_chain_of_any_length() -> None:
    chain = " ".join(f"c{k + 1} = Neg(c{k})" for k in range(3001))
    model = build("float[2] x => float[2] y", f"{chain} y = Add(x, c3001)", c0=(2,))
    value = value_of(model, "c3001")
    stored = value_of(model, "c0").const_value.numpy()
    np.testing.assert_array_equal(Constants(model)[value], -stored.astype(np.float64))


def test_results_on_the_way_to_a_large_constant_are_dropped() -> None:
    """Eight of them, of 8 MB each in float64: two are there at a time."""
    chain = " ".join(f"c{k + 1} = Neg(c{k})" for k in range(8))
    model = build("float[2] x => float[2] y", f"{chain} y = Neg(x)", c0=(1024, 1024))
    stored = value_of(model, "c0").const_value.numpy()
    tracemalloc.start()
    constants = Constants(model)
    array = constants[value_of(model, "c8")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * array.nbytes
    np.testing.assert_array_equal(array, stored)


@pytest.mark.parametrize("opset", [11, 13, 20])
def test_a_weight_in_eight_bits(opset: int) -> None:
    weight = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    body = "c = DequantizeLinear(w, s, z) d = Transpose(c) y = Neg(x)"
    scale, zero = np.array(0.05, np.float32), np.array(3, np.int8)
    model = build("float[2] x => float[2] y", body, opset=opset, w=weight, s=scale, z=zero)
    constants, value = Constants(model), value_of(model, "d")
    assert constants.dtype(value) == ir.DataType.FLOAT
    expected = (weight.T.astype(np.float64) - 3) * np.float64(scale)
    np.testing.assert_array_equal(constants[value], expected)


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


LARGE = LEAST_BYTES // 4 + 1


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("c = ConstantOfShape(n)", {"n": [LARGE]}),
        ("e = Expand(one, n) c = Neg(e)", {"one": (1,), "n": [LARGE]}),
        ("c = MatMul(u, v)", {"u": (2**14, 1), "v": (1, 2**12 + 1)}),
        ("c = Conv<pads=[0, 134217728]>(image, k)", {"image": (1, 1, 3), "k": (1, 1, 3)}),
        ("c = Gather(row, many)", {"row": (1, 2**14), "many": np.zeros(2**12 + 1, np.int64)}),
    ],
)
def test_what_takes_more_than_the_weights_account_for_is_no_constant(
    body: str, constants: dict[str, object]
) -> None:
    """Nothing of it is computed."""
    model = build("float[B] x => float[B] y", f"{body} y = Neg(x)", **constants)
    tracemalloc.start()
    found = Constants(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert value_of(model, "c") not in found
    assert peak < LEAST_BYTES


def test_large_weights_account_for_larger_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Integers of 4 bits take 8 times their bytes when they are floating."""
    monkeypatch.setattr("un_deploy.graph.analysis.constants.LEAST_BYTES", 1 << 10)
    body = "c = DequantizeLinear(q, s) d = Expand(s, n) y = MatMul(x, c)"
    q = np.ones((64, 64), ml_dtypes.int4)
    for count, known in ((1 << 12, True), (1 << 14, False)):
        model = build(
            "float[B,64] x => float[B,64] y",
            body,
            q=q,
            s=np.ones((), np.float32),
            n=[count],
            opset=21,
        )
        constants = Constants(model)
        assert value_of(model, "c") in constants
        assert (value_of(model, "d") in constants) == known


def test_what_is_held_at_once_counts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of 2 MB, and the one that adds up the last two is one too many."""
    body = "a = Neg(k) b = Neg(a) c = Sqrt(a) d = Add(b, c) y = Neg(x)"
    for least, known in ((8 << 20, True), (5 << 20, False)):
        monkeypatch.setattr("un_deploy.graph.analysis.constants.LEAST_BYTES", least)
        monkeypatch.setattr("un_deploy.graph.analysis.constants._WIDER", 1)
        model = build("float[B] x => float[B] y", body, k=(512, 1024))
        constants = Constants(model)
        assert (value_of(model, "d") in constants) == known


@pytest.mark.parametrize("operator", ["Neg(c{0})", "Add(c{0}, c{0})", "Identity(c{0})"])
def test_chains_of_5000_operators(operator: str) -> None:
    body = "".join(f"c{i + 1} = {operator.format(i)} " for i in range(5000))
    model = build("float[B,2] x => float[B,2] y", f"{body} y = Mul(x, c5000)", c0=(2,))
    constants = Constants(model)
    assert constants[value_of(model, "c5000")].shape == (2,)
    assert not constants.is_quantised(value_of(model, "c5000"))
