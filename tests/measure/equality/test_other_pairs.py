"""Pairs that are no fold of each other: what a runtime shows of them, and what it does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.measure.equality.pairs import (
    TWO,
    attention_stack,
    places,
    small,
)
from tests.support.graphs import build
from un_deploy.errors import VerificationError
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.equality import second_look
from un_deploy.measure.equality.verify import verify
from un_deploy.pipeline.fold_model import fold

pytest.importorskip("onnxruntime")


class TestAnyOtherPair:
    def test_two_ways_to_the_same_numbers(self) -> None:
        first = build("float[B,T] x => float[B,T] y", "y = Add(x, x)")
        second = build("float[B,T] x => float[B,T] y", "y = Mul(x, two)", two=TWO)
        report = verify(first, second)
        assert report.verdict == "equal on these inputs" and report.passed
        assert report.reason == (
            "not a fold of the first network: the operator 'Mul_0' of the second network is a "
            "Mul, the first network has a Add ('Add_0')"
        )
        assert report.runs == 2
        report.require()
        with pytest.raises(VerificationError, match="equal on these inputs, which is no proof"):
            report.require("proven")

    def test_a_difference_is_placed_at_the_output(self) -> None:
        first = build("float[B,T] x => float[B,T] y", "y = Add(x, x)")
        second = build(
            "float[B,T] x => float[B,T] y", "y = Mul(x, c)", c=np.array(2.001, np.float32)
        )
        report = verify(first, second)
        assert report.verdict == "not equal" and places(report) == ["y"]
        assert report.outputs[0].error == pytest.approx(5e-4, rel=0.01)

    def test_a_size_that_only_the_second_run_has(self) -> None:
        first = build("float[B,T] x => float[B,T] y", "y = Neg(x)")
        second = build("float[B,T] x => float[B,T] y", "z = Reshape(x, s)  y = Neg(z)", s=[2, -1])
        report = verify(first, second)
        assert report.verdict == "not equal"

    @pytest.mark.parametrize("function", ["Sqrt", "Log"])
    def test_what_is_not_finite_in_both_is_equal(self, function: str) -> None:
        first = build("float[B,4] x => float[B,4] y", f"z = Add(x, x)  y = {function}(z)")
        second = build(
            "float[B,4] x => float[B,4] y", f"u = Mul(x, two)  y = {function}(u)", two=TWO
        )
        report = verify(first, second)
        assert report.verdict == "equal on these inputs"

    def test_what_is_not_finite_in_one_alone(self) -> None:
        first = build("float[B,4] x => float[B,4] y", "z = Abs(x)  y = Sqrt(z)")
        second = build("float[B,4] x => float[B,4] y", "y = Sqrt(x)")
        report = verify(first, second)
        assert report.verdict == "not equal"
        assert json.loads(report.to_json())["outputs"][0]["error"] is None

    def test_where_rounding_is_all_there_is(self) -> None:
        """x + 1e8 - 1e8 in float32 says nothing of x."""
        big = np.array(1e8, np.float32)
        first = build("float[B,4] x => float[B,4] y", "z = Add(x, c)  y = Sub(z, c)", c=big)
        report = verify(first, build("float[B,4] x => float[B,4] y", "y = Identity(x)"))
        assert report.verdict == "cannot tell" and not report.passed
        assert report.outputs[0].own > 0.1 and report.outputs[0].allowed is None
        assert "rounding error is too large at 'y'" in report.reason

    def test_random_operators(self) -> None:
        def model(body: str) -> ir.Model:
            return build("float[B,4] x => float[B,4] y, float[B,4] z", f"{body}  z = Neg(x)")

        first = model("r = RandomNormalLike(x)  y = Add(x, r)")
        report = verify(first, model("s = RandomNormalLike(x)  t = Neg(s)  y = Sub(x, t)"))
        assert report.verdict == "cannot tell"
        assert "the output 'y' depends on the random operator 'RandomNormalLike_0'" in report.reason
        assert [result.output for result in report.outputs] == ["z"]

    def test_no_runtime(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(second_look, "installed_runtimes", list)
        first = build("float[B,T] x => float[B,T] y", "y = Add(x, x)")
        second = build("float[B,T] x => float[B,T] y", "y = Mul(x, two)", two=TWO)
        report = verify(first, second)
        assert report.verdict == "cannot tell"
        assert report.reason.endswith('no runtime is installed: pip install "un-deploy[cpu]"')
        with pytest.raises(VerificationError, match=r"cannot be told: .*no runtime is installed"):
            report.require()

    def test_an_operator_that_no_runtime_has(self) -> None:
        def model(body: str) -> ir.Model:
            made = build("float[2] x => float[2] y", body)
            made.opset_imports["custom"] = 1
            return made

        report = verify(model("y = custom.Some(x)"), model("y = custom.Other(x)"))
        assert report.verdict == "cannot tell" and "Some" in report.reason

    @pytest.mark.parametrize("folded", [False, True])
    def test_what_the_optimiser_of_onnx_runtime_makes_of_it(
        self, folded: bool, tmp_path: Path
    ) -> None:
        from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

        model = attention_stack(3)
        save_model(model, tmp_path / "a.onnx")
        save_model(fold(model)[0] if folded else model, tmp_path / "b.onnx")
        OnnxRuntime(threads=1).open(tmp_path / "b.onnx", optimized=tmp_path / "c.onnx")
        report = verify(tmp_path / "a.onnx", tmp_path / "c.onnx")
        assert report.verdict == "equal on these inputs", report

    def test_rows_and_branches_that_were_not_reached_are_told(self) -> None:
        table = np.arange(100, dtype=np.float32).reshape(50, 2)
        first = build("int64[4] i => float[4,2] y", "z = Gather(t, i)  y = Neg(z)", t=table)
        second = build("int64[4] i => float[4,2] y", "y = Gather(u, i)", u=-table)
        report = verify(first, second, inputs={"i": np.array([0, 1, 1, 49])})
        assert report.verdict == "equal on these inputs"
        assert [one.text for one in report.unreached] == [
            "47 of 50 rows of t",
            "47 of 50 rows of u",
        ]

    def test_a_converted_file_and_one_whose_opset_was_only_raised(self) -> None:
        """Below opset 13 Softmax takes all axes from its own on."""
        old = ir.to_proto(
            build("float[2,3,4] x => float[2,3,4] y", "e = Softmax<axis=1>(x) y = Neg(e)", opset=12)
        )
        raised = copy.deepcopy(old)
        raised.opset_import[0].version = 13
        assert verify(old, onnx.version_converter.convert_version(old, 13)).passed
        assert verify(old, raised).verdict == "not equal"

    def test_integers_must_be_equal(self) -> None:
        first = build("int64[2] x => int64[2] y", "z = Add(x, one)  y = Neg(z)", one=1)
        second = build("int64[2] x => int64[2] y", "y = Sub(minus, x)", minus=-2)
        report = verify(first, second, inputs={"x": np.array([3, 4])})
        assert report.outputs[0].error == 1 and report.outputs[0].allowed == 0


class TestSignatures:
    @staticmethod
    def reports(first: ir.Model, second: ir.Model) -> list[str]:
        report = verify(first, second)
        assert report.verdict == "not equal" and report.outputs == ()
        return [problem.text for problem in report.problems]

    def test_two_outputs_swapped(self) -> None:
        def two(first: str, second: str) -> ir.Model:
            return build(f"float[2] x => float[2] {first}, float[2] {second}", "p=Neg(x) q=Abs(x)")

        found = self.reports(two("p", "q"), two("q", "p"))
        assert found == [
            "the outputs of the second network are ['q', 'p'], those of the first network "
            "['p', 'q']"
        ]

    def test_an_output_missing(self) -> None:
        less = small()
        less.graph.outputs.clear()
        found = self.reports(build("float[2] x => float[2] y", "y = Neg(x)"), less)
        assert found[-1].startswith("the outputs of the second network are []")

    def test_another_type(self) -> None:
        found = self.reports(
            build("float[2] x => float[2] y", "y = Neg(x)"),
            build("float[2] x => double[2] y", "z = Neg(x) y = Cast<to=11>(z)"),
        )
        assert found == [
            "the output 'y' of the second network is DOUBLE, that of the first network FLOAT"
        ]


@pytest.mark.parametrize("turned", [False, True])
def test_a_quantised_network_is_said_to_be_one(turned: bool) -> None:
    body = "h = MatMul(x, w) k = QuantizeLinear(h, s) y = DequantizeLinear(k, s)"
    plain = build("float[2,4] x => float[2,4] y", "y = MatMul(x, w)", w=(4, 4))
    other = build("float[2,4] x => float[2,4] y", body, w=(4, 4), s=np.array(0.5, np.float32))
    report = verify(*((other, plain) if turned else (plain, other)))
    assert report.verdict == "not equal"
    which = "first" if turned else "second"
    counts = "1 QuantizeLinear, 1 DequantizeLinear"
    told = f"the {which} network is quantised ({counts}) and the other is not: they are not equal"
    assert any(note.startswith(told) for note in report.notes)
    assert verify(other, other.clone()).notes == ()
