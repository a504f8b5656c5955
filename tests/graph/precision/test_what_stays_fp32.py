"""Which operators stay in fp32, and why: their types, integers, and names that were given."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.precision.conversion import (
    EPS,
    HALF,
    INTEGERS,
    LINEAR,
    SIGNATURE,
    array,
    compute,
    converted,
    reasons,
    types_of,
)
from tests.support.graphs import build, operators
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import Precision, to_precision


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
