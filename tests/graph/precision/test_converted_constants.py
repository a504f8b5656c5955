"""Constants in fp16 or bf16: what is refused by name, what is counted, and how they are held."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.precision.conversion import (
    HALF,
    LINEAR,
    SIGNATURE,
    array,
    compute,
    converted,
    types_of,
)
from tests.support.graphs import build, operators
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.precision.convert import Precision, to_precision


class TestNumbers:
    def test_overflow_is_refused_by_name_and_place(self):
        w = np.ones((3, 3), np.float32)
        w[1, 2] = 7e4
        model = build(SIGNATURE, LINEAR, w=w, b=(3,))
        with pytest.raises(InputError, match=r"initializer 'w' holds 70000 at \[1, 2\].*fp16") as e:
            to_precision(model, "fp16")
        assert "keep it in fp32 (keep_fp32)" in str(e.value) and "bf16" in str(e.value)
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
