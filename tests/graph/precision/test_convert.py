"""A network goes to fp16 or bf16 as a whole: its ends, its types, and how near it computes."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.graph.precision.conversion import (
    EPS,
    HALF,
    LINEAR,
    SIGNATURE,
    compute,
    converted,
    types_of,
)
from tests.support.float64 import run
from tests.support.graphs import build, feeds_for, largest_error, operators, stored, to_bytes
from tests.support.random_graphs import random_graph
from un_deploy.errors import InputError
from un_deploy.graph.fold.rules import rules
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.precision.convert import Precision, to_precision


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
