"""What goes to fp16 or bf16, what stays in fp32 and why, and what is refused by name."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.float64 import run
from tests.support.graphs import build, feeds_for, largest_error, operators, stored, to_bytes
from tests.support.random_graphs import random_graph
from un_deploy.errors import InputError
from un_deploy.graph.analysis.operator_types import element, value_types
from un_deploy.graph.fold.rules import rules
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.precision.convert import Precision, PrecisionReport, to_precision

HALF = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
EPS = {"fp16": 2.0**-10, "bf16": 2.0**-7}
SIGNATURE = "float[2,3] x => float[2,3] y"
LINEAR = "m = MatMul(x, w) y = Add(m, b)"
LOWEST = float(np.finfo(np.float32).min)
INTEGERS = "it computes from integers alone"


@pytest.fixture(params=list(HALF))
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


def converted(
    model: ir.Model, precision: Precision = "fp16", **options: Any
) -> tuple[ir.Model, PrecisionReport]:
    """Convert, and assert what must hold of any conversion."""
    before = to_bytes(model)
    result, report = to_precision(model, precision, **options)
    assert to_bytes(model) == before
    onnx.checker.check_model(ir.to_proto(result), full_check=True)
    claimed = {v: v.dtype for node in result.graph for v in node.outputs if v.dtype is not None}
    types = value_types(result)
    assert claimed == {value: element(types[value]) for value in claimed}
    if options.get("keep_io", True):
        for old, new in ((model.graph.inputs, result.graph.inputs), (model.graph.outputs,) * 2):
            assert [(v.name, v.dtype) for v in new] == [(v.name, v.dtype) for v in old]
    return result, report


def compute(model: ir.Model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return ReferenceEvaluator(ir.to_proto(model)).run(None, feeds)[0]


def types_of(model: ir.Model) -> dict[str, str]:
    """What each operator computes in: the type of its first output, by the node's name."""
    types = value_types(model)
    dtypes = {str(node.name): element(types[node.outputs[0]]) for node in model.graph}
    return {name: "" if dtype is None else dtype.name for name, dtype in dtypes.items()}


def reasons(report: PrecisionReport) -> dict[str, str]:
    return {kept.node: kept.reason for kept in report.kept}


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_a_linear_layer(precision: Precision):
    model = build(SIGNATURE, LINEAR, w=(3, 3), b=(3,))
    result, report = converted(model, precision)

    assert operators(result) == ["Cast", "MatMul", "Add", "Cast"]
    half = HALF[precision]
    for name in "wb":
        old, new = (m.graph.initializers[name].const_value.numpy() for m in (model, result))
        np.testing.assert_array_equal(new, old.astype(half.numpy()))
        assert result.graph.initializers[name].dtype == half
    assert [entry.name for entry in report.converted] == ["w", "b"]
    assert [entry.elements for entry in report.converted] == [9, 3]
    assert report.casts == 2 and report.kept == () and not report.already
    x = np.ones((2, 3), np.float32)
    wanted = compute(model, {"x": x})
    np.testing.assert_allclose(compute(result, {"x": x}), wanted, rtol=0, atol=8 * EPS[precision])
    json.dumps(report.to_dict())


def test_inputs_and_outputs_go_too_if_asked_for(precision: Precision):
    model = build(SIGNATURE, LINEAR, w=(3, 3), b=(3,))
    result, report = converted(model, precision, keep_io=False)
    assert operators(result) == ["MatMul", "Add"]
    assert report.casts == 0
    assert result.graph.inputs[0].dtype == result.graph.outputs[0].dtype == HALF[precision]


def test_fp32_converts_nothing():
    model = build(SIGNATURE, LINEAR, w=(3, 3), b=(3,))
    result, report = converted(model, "fp32")
    assert to_bytes(result) == to_bytes(model)
    assert (report.converted, report.kept, report.casts) == ((), (), 0)


def test_the_kind_given_comes_back(tmp_path):
    model = build(SIGNATURE, LINEAR, w=(3, 3), b=(3,))
    proto, _ = to_precision(ir.to_proto(model), "fp16")
    assert isinstance(proto, onnx.ModelProto)
    save_model(model, tmp_path / "model.onnx")
    result, _ = to_precision(tmp_path / "model.onnx", "fp16")
    save_model(result, tmp_path / "half.onnx")
    assert to_bytes(load_model(tmp_path / "half.onnx")) == proto.SerializeToString(
        deterministic=True
    )


class TestNumbers:
    def test_overflow_is_refused_by_name_and_place(self):
        w = np.ones((3, 3), np.float32)
        w[1, 2] = 7e4
        model = build(SIGNATURE, LINEAR, w=w, b=(3,))
        with pytest.raises(InputError, match=r"initializer 'w' holds 70000 at \[1, 2\].*fp16") as e:
            to_precision(model, "fp16")
        assert "keep it in fp32 (--keep-fp32)" in str(e.value) and "bf16" in str(e.value)
        converted(model, "bf16")

    def test_beyond_bf16_no_other_type_is_offered(self):
        body = f"{LINEAR.replace('y', 'a')} y = Relu(a)"
        model = build(SIGNATURE, body, w=(3, 3), b=array(0, 0, 3.4e38))
        with pytest.raises(InputError, match=r"'b' holds 3\.4e\+38 at \[2\]") as error:
            to_precision(model, "bf16")
        assert "convert to" not in str(error.value)

    @pytest.mark.parametrize("value", [1e-8, -1e-8])
    def test_a_flush_to_zero_is_refused_by_name_and_place(self, value: float):
        model = build(SIGNATURE, LINEAR, w=(3, 3), b=array(1, 1, value))
        with pytest.raises(InputError, match=rf"initializer 'b' holds {value} at \[2\].*becomes 0"):
            to_precision(model, "fp16")
        converted(model, "bf16")

    def test_in_a_constant_node_too(self):
        model = build("float[2] x => float[2] y", "e = Constant<value_float=1e-12>() y = Add(x, e)")
        with pytest.raises(InputError, match=r"the Constant 'Constant_0' of 'e' holds 1e-12,"):
            to_precision(model, "fp16")
        filled = "e = ConstantOfShape<value=float[1] {1e-12}>(s) y = Add(x, e)"
        model = build("float[2] x, int64[1] s => float[2] y", filled)
        with pytest.raises(InputError, match="ConstantOfShape_0"):
            to_precision(model, "fp16")

    @pytest.mark.parametrize("wiped", [np.s_[1, :], np.s_[:, 1]], ids=["row", "column"])
    def test_a_channel_that_becomes_zero_is_refused(self, wiped: Any):
        w = np.ones((3, 3), np.float32)
        w[wiped] = 2e-8
        with pytest.raises(InputError, match=r"'w' holds 2e-08 at"):
            to_precision(build(SIGNATURE, LINEAR, w=w, b=(3,)), "fp16")

    def test_a_weight_far_below_its_neighbours_rounding_is_counted(self):
        w = np.ones((3, 3), np.float32)
        w[1, 1] = 2e-8
        _, report = converted(build(SIGNATURE, LINEAR, w=w, b=(3,)))
        assert [entry.flushed for entry in report.converted] == [1, 0]

    def test_lost_digits_are_counted(self):
        b = array(1, 2.0**-15, 1.5 * 2.0**-24)  # normal; subnormal, exact; subnormal, a tie
        _, report = converted(build(SIGNATURE, LINEAR, w=np.eye(3, dtype=np.float32), b=b))
        entry = report.converted[1]
        assert (entry.subnormal, entry.flushed) == (2, 0)
        assert entry.worst_relative_error == pytest.approx(1 / 3)

    def test_infinity_and_nan_stay_what_they_are(self, precision: Precision):
        b = array(-np.inf, np.inf, np.nan)
        result, _ = converted(build(SIGNATURE, LINEAR, w=(3, 3), b=b), precision)
        np.testing.assert_array_equal(
            result.graph.initializers["b"].const_value.numpy().astype(np.float32), b
        )

    def test_a_computed_constant_is_looked_at(self):
        body = "f = Cast<to=1>(n) m = Mul(x, f) y = Relu(m)"
        model = build("float[2] x => float[2] y", body, n=[100000])
        with pytest.raises(InputError, match=r"the Cast 'Cast_0' of 'f' holds 100000 at \[0\]"):
            to_precision(model, "fp16")

    def test_a_computed_constant_that_becomes_zero(self):
        body = "e = Cast<to=1>(d) y = Add(x, e)"
        model = build(SIGNATURE, body, d=np.array(1e-12))
        with pytest.raises(InputError, match=r"the Cast 'Cast_0' of 'e' holds 1e-12, which"):
            to_precision(model, "fp16")
        body = "t = Sub(a, c) m = Mul(x, t) y = Relu(m)"  # a rounding of zero
        constants = {"a": array(0.1), "c": np.nextafter(array(0.1), array(1))}
        converted(build(SIGNATURE, body, **constants))

    def test_large_weights_are_converted_when_they_are_saved(self, tmp_path):
        w = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float32)
        model = build("float[1,600] x => float[1,600] y", "y = MatMul(x, w)", w=w)
        result, _ = to_precision(model, "fp16")
        assert isinstance(result.graph.initializers["w"].const_value, ir.LazyTensor)
        save_model(result, tmp_path / "half.onnx")
        loaded = load_model(tmp_path / "half.onnx").graph.initializers["w"].const_value
        np.testing.assert_array_equal(loaded.numpy(), w.astype(np.float16))


class TestConstants:
    @pytest.mark.parametrize(
        "spelled", ["value_float=0.5", "value_floats=[0.5, 0.25]", "value=float[2] {0.5, 0.25}"]
    )
    def test_however_a_constant_is_spelled(self, spelled: str, precision: Precision):
        body = f"c = Constant<{spelled}>() y = Mul(x, c)"
        result, report = converted(build("float[2] x => float[2] y", body), precision)
        assert types_of(result)["Constant_0"] == HALF[precision].name
        assert [entry.name for entry in report.converted] == ["c"]

    def test_a_filled_tensor(self, precision: Precision):
        body = "z = ConstantOfShape(s) a = Add(x, z) o = ConstantOfShape<value=float[1] {1}>(s) "
        model = build("float[2] x, int64[1] s => float[2] y", body + "y = Add(a, o)")
        result, report = converted(model, precision)
        assert report.kept == ()
        assert types_of(result)["ConstantOfShape_0"] == HALF[precision].name
        x, s = np.zeros(2, np.float32), np.array([2])
        np.testing.assert_array_equal(compute(result, {"x": x, "s": s}), array(1, 1))

    def test_one_that_is_read_in_both_types_is_held_in_both(self):
        model = build("float[3,3] x => float[3,3] y", "m = MatMul(x, w) y = Div(m, w)", w=(3, 3))
        result, report = converted(model, keep=["Div_1"])
        dtypes = {n: v.dtype.name for n, v in result.graph.initializers.items()}
        assert dtypes == {"w": "FLOAT", "w_fp16": "FLOAT16"}
        assert report.casts == 2  # x, and the product

    def test_a_constant_node_too(self):
        body = "c = Constant<value_float=0.1>() m = Mul(x, c) y = Add(m, c)"
        result, _ = converted(build(SIGNATURE, body), keep=["Add"])
        assert operators(result).count("Constant") == 2

    def test_a_default_of_an_input(self, precision: Precision):
        model = build("float[3] x, float[3] d => float[3] y", "y = Add(x, d)", d=(3,))
        result, _ = converted(model, precision)
        assert result.graph.initializers["d"].dtype == ir.DataType.FLOAT
        result, _ = converted(model, precision, keep_io=False)
        assert result.graph.initializers["d"].dtype == HALF[precision]


class TestOperators:
    """Types that attributes and schemas give."""

    def test_casts(self, precision: Precision):
        body = "f = Cast<to=1>(p) a = Add(x, f) d = Cast<to=11>(a) g = Cast<to=1>(d) "
        body += "l = CastLike(g, x) y = Neg(l)"
        model = build("float[2] x, float16[2] p => float[2] y", body)
        if precision == "bf16":
            model.graph.inputs[1].type = ir.TensorType(ir.DataType.BFLOAT16)
        result, _ = converted(model, precision)
        half = HALF[precision].name
        types = types_of(result)
        assert [types[f"{n}"] for n in ("Cast_0", "Add_1", "Cast_2", "Cast_3", "CastLike_4")] == [
            half,
            half,
            "DOUBLE",
            half,
            half,
        ]

    @pytest.mark.parametrize(
        "body",
        [
            "e = EyeLike<dtype=1>(x) y = MatMul(x, e)",
            "r = RandomNormalLike<dtype=1>(x) y = Add(x, r)",
            "r = RandomUniform<dtype=1, shape=[3, 3]>() y = Add(x, r)",
        ],
    )
    def test_types_in_attributes(self, body: str):
        result, report = converted(build("float[3,3] x => float[3,3] y", body))
        assert report.kept == ()
        assert set(types_of(result).values()) == {"FLOAT16", "FLOAT"}
        assert types_of(result)[str(result.graph[1].name)] == "FLOAT16"

    def test_an_input_that_is_always_float32(self, precision: Precision):
        body = 'y = Resize<mode="nearest">(x, , s)'
        model = build("float[1,1,2,2] x => float[1,1,4,4] y", body, s=array(1, 1, 2, 2))
        result, report = converted(model, precision)
        assert report.kept == () and report.converted == ()
        assert result.graph.initializers["s"].dtype == ir.DataType.FLOAT
        assert types_of(result)["Resize_0"] == HALF[precision].name

    def test_statistics_of_a_norm(self):
        body = "n, m, i = LayerNormalization(x, g) y = Mul(n, i)"
        result, report = converted(build(SIGNATURE, body, g=(3,)))
        assert operators(result) == ["Cast", "LayerNormalization", "Cast", "Mul", "Cast"]
        assert report.kept == ()

    def test_one_that_has_no_half_type_stays(self):
        body = "r = Range(zero, x, one) y = Neg(r)"
        model = build("float x => float[N] y", body, zero=np.float32(0)[...], one=array(1)[0][...])
        result, report = converted(model)
        assert "no fp16 Range" in reasons(report)["Range_0"]
        assert operators(result) == ["Range", "Cast", "Neg", "Cast"]

    def test_bf16_raises_the_opset_where_only_types_change(self):
        model = build("float[1,1,4,4] x => float[1,1,2,2] y", "y = Conv(x, w)", w=(1, 1, 3, 3))
        result, report = converted(model, "bf16")
        assert (report.opset_before, report.opset_after) == (20, 22)
        assert result.opset_imports[""] == 22
        assert report.kept == ()
        told = "bf16 lifts the graph from opset 20 to 22, where more of its operators take bf16"
        assert str(report.lifted) == told
        _, report = converted(model, "fp16")
        assert (report.opset_after, report.lifted) == (20, None)

    def test_an_opset_in_which_an_operator_changed_stays(self):
        body = "c = Conv(x, w) y = ReduceMean<axes=[1]>(c)"
        model = build("float[1,1,4,4] x => float[1,1,2,2] y", body, opset=17, w=(1, 1, 3, 3))
        result, report = converted(model, "bf16")
        assert report.opset_after == 17
        assert list(reasons(report)) == ["Conv_0"]
        assert types_of(result)["ReduceMean_1"] == "BFLOAT16"

    def test_bf16_needs_opset_13(self):
        model = build(SIGNATURE, "y = Relu(x)", opset=12)
        with pytest.raises(InputError, match="bf16 begins with opset 13"):
            to_precision(model, "bf16")

    def test_an_operator_of_others_stays(self):
        model = build(SIGNATURE, "h = Relu(x) y = Neg(h)")
        model.graph[0].domain, model.opset_imports["custom"] = "custom", 1
        with pytest.raises(InputError, match=r"type of 'h'.*custom\.Relu"):
            to_precision(model, "fp16")
        model.graph[0].outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        result, report = to_precision(model, "fp16")
        assert "domain 'custom'" in reasons(report)["Relu_0"]
        assert operators(result) == ["Relu", "Cast", "Neg", "Cast"]

    def test_quantisation_goes_along_where_onnx_has_it(self):
        body = "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)"
        constants = {"s": np.array(0.25, np.float32), "z": np.array(3, np.int8)}
        model = build(SIGNATURE, body, opset=21, **constants)
        result, report = converted(model)
        assert report.kept == ()
        assert types_of(result)["DequantizeLinear_1"] == "FLOAT16"
        _, report = converted(build(SIGNATURE, body, opset=13, **constants))
        assert list(reasons(report)) == ["QuantizeLinear_0", "DequantizeLinear_1"]

    def test_what_the_builder_fails_at_in_bf16_stays(self):
        body = "t = ConvTranspose(x, k) y = Relu(t)"
        model = build("float[1,4,3,3] x => float[1,4,3,3] y", body, k=(4, 4, 1, 1), opset=22)
        assert converted(model, "fp16")[1].kept == ()
        result, report = converted(model, "bf16")
        told = {"ConvTranspose_0": "TensorRT-RTX 1.7 builds no ConvTranspose in bf16"}
        assert reasons(report) == told and types_of(result)["Relu_1"] == "BFLOAT16"

    def test_sequences_stay(self):
        body = "s = SequenceConstruct(x, x) h = ConcatFromSequence<axis=0>(s) y = Relu(h)"
        result, report = converted(build("float[2] x => float[4] y", body))
        assert list(reasons(report)) == ["SequenceConstruct_0", "ConcatFromSequence_1"]
        assert types_of(result)["Relu_2"] == "FLOAT16"


class TestIntegers:
    def test_sizes_stay_exact(self):
        body = "n = Size(x) f = Cast<to=1>(n) h = Mul(f, two) k = Cast<to=7>(h) "
        body += "o = ConstantOfShape<value=float[1] {1}>(k) y = Neg(o)"
        model = build("float[N] x => float[M] y", body, two=array(2))
        result, report = converted(model)
        assert reasons(report)["Mul_2"] == INTEGERS
        x = np.zeros(2049, np.float32)
        assert compute(result, {"x": x}).shape == (4098,)

    def test_positions_stay_exact_up_to_their_sines(self):
        body = "f = Cast<to=1>(p) a = Mul(f, w) s = Sin(a) y = Add(s, x)"
        model = build("float[1,4] x, int64[1,1] p => float[1,4] y", body, w=(4,))
        result, report = converted(model)
        assert set(reasons(report)) == {"Cast_0", "Mul_1", "Sin_2"}
        assert report.converted == ()
        feeds = {"x": np.zeros((1, 4), np.float32), "p": np.array([[2049]])}
        error = np.abs(compute(result, feeds) - compute(model, feeds)).max()
        assert error <= EPS["fp16"]

    def test_frequencies_that_grow_with_the_batch_stay_exact_too(self):
        """Rotary embeddings as transformers writes them."""
        body = "s = Shape<end=1>(p) e = Concat<axis=0>(s, rest) v = Expand(w, e) "
        body += "f = Cast<to=1>(p) a = MatMul(v, f) c = Cos(a) y = Add(c, x)"
        signature = "float[1,4,3] x, int64[B,1,3] p => float[B,4,3] y"
        frequencies = np.float32(10000) ** -(np.arange(4, dtype=np.float32) / 4)
        model = build(signature, body, w=frequencies.reshape(1, 4, 1), rest=[4, 1])
        result, report = converted(model)
        assert set(reasons(report)) == {"Expand_2", "Cast_3", "MatMul_4", "Cos_5"}
        feeds = {"x": np.zeros((1, 4, 3), np.float32), "p": np.array([[[2049, 3001, 5]]])}
        error = np.abs(compute(result, feeds) - compute(model, feeds)).max()
        assert error <= EPS["fp16"]

    @pytest.mark.parametrize("weights", ["w", "Transpose(w)", "DequantizeLinear(q, s)"])
    def test_weights_end_it_however_they_are_stored(self, weights: str):
        body = f"f = Cast<to=1>(p) d = Div(f, scale) v = {weights} y = MatMul(d, v)"
        if weights == "w":
            body = body.replace("v = w", "").replace(", v)", ", w)")
        constants = {"w": np.eye(3, dtype=np.float32), "q": np.eye(3, dtype=np.int8)}
        constants = {k: v for k, v in constants.items() if f"({k}" in body or f" {k})" in body}
        if "q" in constants:
            constants["s"] = np.float32(0.5)[...]
        model = build("uint8[2,3] p => float[2,3] y", body, scale=array(255), **constants)
        result, report = converted(model)
        assert list(reasons(report)) == ["Cast_0", "Div_1"]
        assert [t for n, t in types_of(result).items() if "MatMul" in n] == ["FLOAT16"]

    def test_a_table_is_no_number(self):
        body = "e = Gather(t, p) y = Add(e, x)"
        model = build("float[2,3] x, int64[2] p => float[2,3] y", body, t=(5, 3))
        result, report = converted(model)
        assert report.kept == ()
        assert types_of(result)["Gather_0"] == "FLOAT16"


class TestMasks:
    """The lowest float32, added to the scores where there is nothing to attend to."""

    SIGNATURE = "float[1,2,3] q, float[3,3] k, int64[1,3] m => float[1,2,3] y"
    BODY = """
        f = Cast<to=1>(m)  i = Sub(one, f)  bias = Mul(i, lowest)
        s = MatMul(q, k)  t = Add(s, bias)  p = Softmax(t)  y = MatMul(p, k)
    """

    def model(self, lowest: float = LOWEST, body: str = BODY) -> ir.Model:
        constants = {"one": np.float32(1)[...], "lowest": np.float32(lowest)[...]}
        return build(self.SIGNATURE, body, **constants)

    @pytest.mark.parametrize("mask", [[1, 1, 0], [0, 0, 0], [1, 1, 1]], ids=str)
    def test_stay_the_same_to_the_last_row(self, mask: list[int], precision: Precision):
        model = self.model()
        result, report = converted(model, precision)
        assert "'lowest' holds -3.40282e+38" in reasons(report)["Softmax_5"]
        assert types_of(result)["MatMul_3"] == types_of(result)["MatMul_6"] == HALF[precision].name
        feeds = feeds_for(model) | {"m": np.array([mask])}
        got, wanted = compute(result, feeds), compute(model, feeds)
        scale = np.abs(feeds["q"]).max() * np.abs(feeds["k"]).max() * 3
        np.testing.assert_allclose(got, wanted, rtol=0, atol=4 * scale * EPS[precision])

    def test_within_the_range_softmax_goes_along(self):
        result, report = converted(self.model(-1e4))
        assert set(reasons(report)) == {"Cast_0", "Sub_1", "Mul_2"}
        assert types_of(result)["Softmax_5"] == "FLOAT16"

    def test_minus_infinity_goes_along(self):
        body = "c = Greater(q, zero) b = Where(c, zero, low) p = Softmax(b) y = MatMul(p, k)"
        constants = {"zero": np.float32(0)[...], "low": np.float32(-np.inf)[...]}
        _, report = converted(build(self.SIGNATURE, body, **constants))
        assert report.kept == ()

    @pytest.mark.parametrize(("low", "high"), [(LOWEST, 6), (0, -LOWEST), (-1e5, 1e5)])
    def test_a_bound_that_bounds_nothing_becomes_infinite(self, low: float, high: float):
        constants = {"low": np.float32(low)[...], "high": np.float32(high)[...]}
        model = build("float[2,3] x => float[2,2] y", "c = Clip(x, low, high) y = MatMul(c, w)",
                      w=(3, 2), **constants)  # fmt: skip
        result, report = converted(model)
        assert report.kept == ()
        held = [result.graph.initializers[name].const_value.numpy() for name in ("low", "high")]
        assert held == [low if low > -6e4 else -np.inf, high if high < 6e4 else np.inf]

    def test_a_bound_that_bounds_all_is_refused(self):
        constants = {"low": np.float32(1e5)[...]}
        model = build(SIGNATURE, "c = Clip(x, low) y = Relu(c)", **constants)
        with pytest.raises(InputError, match="'low' holds 100000"):
            to_precision(model, "fp16")

    def test_what_the_user_keeps_is_the_users_care(self):
        body = self.BODY.replace("Softmax", "Relu")
        _, report = converted(self.model(body=body), keep=["lowest"])
        assert list(reasons(report)) == ["Cast_0", "Sub_1", "Mul_2"]

    def test_without_a_softmax_they_are_refused(self):
        with pytest.raises(InputError, match=r"'lowest' holds -3.40282e\+38.*no Softmax bounds it"):
            to_precision(self.model(body=self.BODY.replace("Softmax", "Relu")), "fp16")


class TestKeep:
    BODY = "m = MatMul(x, w) a = Add(m, b) r = Relu(a) y = MatMul(r, w)"

    def model(self) -> ir.Model:
        return build("float[3,3] x => float[3,3] y", self.BODY, w=(3, 3), b=(3,))

    @pytest.mark.parametrize(
        ("name", "kept"),
        [
            ("Add_1", ["Add_1"]),
            ("MatMul", ["MatMul_0", "MatMul_3"]),
            ("b", ["Add_1"]),
            ("a", ["Add_1", "Relu_2"]),
            ("x", ["MatMul_0"]),
            ("y", ["MatMul_3"]),
            ("layer.0", ["Relu_2"]),
        ],
    )
    def test_operators_types_tensors_and_modules(self, name: str, kept: list[str]):
        model = self.model()
        model.graph[2].metadata_props["pkg.torch.onnx.name_scopes"] = "['', 'layer.0', 'relu']"
        result, report = converted(model, keep=[name])
        assert list(reasons(report)) == kept
        assert all(repr(name) in reason for reason in reasons(report).values())
        types = types_of(result)
        for node in ("MatMul_0", "Add_1", "Relu_2", "MatMul_3"):
            inside = types[node] == "FLOAT"
            assert inside == (node in kept), node

    def test_what_would_be_refused_is_not(self):
        model = build(SIGNATURE, LINEAR, w=(3, 3), b=array(1, 1e-8, 7e4))
        result, report = converted(model, keep=["b"])
        assert result.graph.initializers["b"].const_value.numpy()[1] == np.float32(1e-8)
        assert [entry.name for entry in report.converted] == ["w"]

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(InputError, match=r"'Ad_1'.*no operator.*near it: 'Add_1'"):
            to_precision(self.model(), "fp16", keep=["Ad_1"])

    def test_where_nothing_is_converted_nothing_can_be_kept(self):
        half, _ = converted(self.model())
        for model, precision in ((self.model(), "fp32"), (half, "fp16")):
            with pytest.raises(InputError, match=f"nothing is converted to {precision} here"):
                to_precision(model, precision, keep=["Add_1"])


class TestOtherTypes:
    def test_float64_stays(self):
        body = "d = Cast<to=11>(x) e = Mul(d, c) f = Cast<to=1>(e) y = Relu(f)"
        result, report = converted(build(SIGNATURE, body, c=np.array(1e-300)))
        assert types_of(result)["Mul_1"] == "DOUBLE"
        assert types_of(result)["Relu_3"] == "FLOAT16"
        assert report.converted == ()

    HALF_ALREADY = "h = Cast<to=10>(x) m = MatMul(h, w) f = Cast<to=1>(m) y = Softmax(f)"

    def test_a_model_that_computes_in_it_stays_as_its_author_made_it(self):
        model = build(SIGNATURE, self.HALF_ALREADY, w=np.eye(3, dtype=np.float16))
        result, report = converted(model, "fp16")
        assert report.already
        assert to_bytes(result) == to_bytes(model)

    @pytest.mark.parametrize("asked", ["fp32", "bf16"])
    def test_a_model_that_computes_in_another_is_refused(self, asked: Precision):
        model = build(SIGNATURE, self.HALF_ALREADY, w=np.eye(3, dtype=np.float16))
        with pytest.raises(InputError, match=rf"computes in fp16.*MatMul_1.*not in {asked}"):
            to_precision(model, asked)

    def test_weights_that_are_stored_small_come_as_they_are(self):
        body = "f = Cast<to=1>(w) y = MatMul(x, f)"
        model = build(SIGNATURE, body, w=np.eye(3, dtype=np.float16))
        result, report = converted(model, "fp16")
        assert types_of(result)["MatMul_1"] == "FLOAT16"
        assert not report.already


class TestOutputs:
    def test_one_that_is_read_inside_too(self):
        signature = "float[2] x => float[2] h, float[2] y"
        result, _ = converted(build(signature, "h = Relu(x) y = Neg(h)"))
        assert operators(result) == ["Cast", "Relu", "Cast", "Neg", "Cast"]
        assert [node.inputs[0].name for node in result.graph if node.op_type == "Neg"] == ["h_fp16"]

    def test_one_that_is_read_in_both_types(self):
        signature = "float[3] x => float[3] h, float[3] y"
        model = build(signature, "h = Add(x, c) m = Div(h, c) y = Mul(m, c)", c=(3,))
        model.graph.outputs.append(model.graph.initializers["c"])
        for keep_io, casts in ((True, 4), (False, 2)):
            result, report = converted(model, keep_io=keep_io, keep=["Div_1"])
            assert [value.name for value in result.graph.outputs] == ["h", "y", "c"]
            assert report.casts == casts

    def test_a_constant_and_an_input(self, precision: Precision):
        model = build("float[3] x => float[3] y", "y = Add(x, c)", c=(3,))
        model.graph.outputs.extend([model.graph.initializers["c"], model.graph.inputs[0]])
        for keep_io in (True, False):
            result, _ = converted(model, precision, keep_io=keep_io)
            assert [value.name for value in result.graph.outputs] == ["y", "c", "x"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: type(rule).__name__)
def test_examples_of_every_rule(rule: Any, precision: Precision):
    for model in rule.examples():
        if precision == "bf16" and model.opset_imports[""] < 13:
            continue  # no operator takes it before
        result, _ = converted(model, precision)
        assert HALF[precision].name in types_of(result).values()


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed: int, precision: Precision):
    """Only the Casts at the ends are put in; up to 14 steps lose less than four roundings."""
    model = random_graph(Random(seed))
    result, report = converted(model, precision)
    assert report.kept == ()
    assert report.casts == len(result.graph.inputs) + len(result.graph.outputs)
    feeds = feeds_for(model)
    arrays = ReferenceEvaluator(ir.to_proto(result)).run(None, feeds)
    got = dict(zip((str(value.name) for value in result.graph.outputs), arrays, strict=True))
    assert largest_error(got, run(model, feeds, stored)) <= 4 * EPS[precision]
