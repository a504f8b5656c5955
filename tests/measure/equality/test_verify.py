"""Each verdict, the pairs that earn it, and the place that is named where two networks differ."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.doubles.reference_runtime import ReferenceRuntime
from tests.support.graphs import NORM, build
from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.equality import second_look
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.measure.equality.verify import verify, verify_fold
from un_deploy.pipeline.fold_model import fold
from un_deploy.runtime.session import FileSession

pytest.importorskip("onnxruntime")

EARLIER = Path(__file__).parent / "folded_earlier"
CHANNELS = 6
TWO = np.array(2, np.float32)
AFFINE = {"a": (CHANNELS,), "b": (CHANNELS,)}


def small() -> ir.Model:
    """Linear, norm, linear: the norm folds into the second one."""
    return build(
        "float[batch,3,6] x0 => float[batch,3,4] y",
        f"x = MatMul(x0, v)  {NORM}  h = MatMul(n, w)  y = Add(h, c)",
        **AFFINE,
        v=(CHANNELS, CHANNELS),
        w=(CHANNELS, 4),
        c=(4,),
    )


def replaced(model: ir.Model, name: str, change: Callable[[np.ndarray], np.ndarray]) -> ir.Model:
    """A copy in which one initializer holds other numbers."""
    changed, _ = to_ir(model)
    value = changed.graph.initializers[name]
    array = value.const_value.numpy().copy()
    value.const_value = ir.Tensor(change(array).astype(array.dtype), name=name)
    return changed


def places(report: VerifyReport) -> list[str]:
    return [problem.place for problem in report.problems]


class TestTheSameGraph:
    """Proven, whatever it computes: nothing is run."""

    @pytest.mark.parametrize(
        "body",
        [
            "y = Log(x)",
            "r = RandomNormalLike(x)  y = Add(x, r)",
            "y = custom.Nothing(x)",
            "y = Add(x, masked)",
        ],
    )
    def test_a_file_equals_itself(self, body: str, tmp_path: Path) -> None:
        masked = np.array([0, -np.inf, 0, -np.inf], np.float32)
        model = build("float[B,4] x => float[B,4] y", body, masked=masked)
        model.opset_imports["custom"] = 1
        save_model(model, tmp_path / "a.onnx")
        for pair in ((tmp_path / "a.onnx",) * 2, (model, tmp_path / "a.onnx")):
            report = verify(*pair)
            assert (report.verdict, report.outputs, report.runs) == ("proven", (), 0)

    def test_nan_in_a_weight_is_refused_elsewhere(self) -> None:
        broken = replaced(small(), "w", lambda array: array * np.nan)
        assert verify(broken, broken).verdict == "proven"
        for pair in ((broken, small()), (small(), broken)):
            with pytest.raises(InputError, match="the weight 'w' has 24 NaN of 24"):
                verify(*pair)

    def test_one_bit_is_another_graph(self) -> None:
        other = replaced(small(), "v", lambda array: np.nextafter(array, np.float32(9)))
        report = verify(small(), other)
        assert report.verdict == "not equal" and places(report)[0] == "v"

    def test_another_order_of_outputs_is_another_graph(self) -> None:
        def split(first: str, second: str) -> ir.Model:
            return build(
                "float[2,4] x => float[2,2] y",
                f"{first}, {second} = Split<axis=1, num_outputs=2>(x)  y = Sub(p, q)",
            )

        report = verify(split("p", "q"), split("q", "p"))
        assert report.verdict == "not equal"


class TestAFold:
    def test_it_is_proven_and_looked_at(self) -> None:
        report = verify(small(), fold(small())[0])
        assert report.verdict == "proven" and report.passed and report.problems == ()
        assert report.proof.constants == 2 and report.proof.worst < 1e-9
        (output,) = report.outputs
        assert output.runtime == "onnxruntime" and output.error < 1e-6
        assert 3e-6 < output.allowed < 4e-6  # 32 units in the last place of float32
        assert report.runs == 2  # two batch sizes

    def test_without_a_runtime_it_is_proven_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(second_look, "installed_runtimes", list)
        report = verify(small(), fold(small())[0])
        assert report.verdict == "proven" and report.outputs == ()
        assert 'pip install "un-deploy[cpu]"' in report.notes[0]

    def test_a_runtime_that_gets_it_wrong_refuses_no_proof(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Wrong(ReferenceRuntime):
            def load(self, model: ir.Model) -> FileSession:
                few = len(model.graph) == 3
                return super().load(replaced(model, "c", lambda c: c + 1) if few else model)

        monkeypatch.setattr(second_look, "installed_runtimes", lambda: [Wrong()])
        report = verify(small(), fold(small())[0])
        assert report.outputs[0].differs
        assert report.verdict == "proven" and "computes other outputs" in report.notes[0]

    def test_a_runtime_that_does_not_take_the_fold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Picky(ReferenceRuntime):
            def load(self, model: ir.Model) -> FileSession:
                if len(model.graph) < 5:
                    raise InputError("picky cannot load the graph")
                return super().load(model)

        monkeypatch.setattr(second_look, "installed_runtimes", lambda: [Picky()])
        report = verify(small(), fold(small())[0])
        assert report.verdict == "proven"
        assert report.notes == ("outputs were not compared: picky cannot load the graph",)

    def test_in_the_other_order(self) -> None:
        report = verify(fold(small())[0], small())
        assert report.verdict == "proven"
        assert (
            report.reason
            == "in the other order: the first network was held against the fold of the second"
        )

    def test_files(self, tmp_path: Path) -> None:
        a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
        save_model(small(), a)
        save_model(fold(a)[0], b)
        assert verify(a, str(b)).verdict == "proven"

    def test_norms_that_were_kept_are_read_off_the_fold(self) -> None:
        model = small()
        folded, report = fold(model, keep=["Mul_1"])
        assert report.stayed
        assert verify(model, folded).verdict == "proven"
        assert verify(model, folded, keep=["Mul_1"]).verdict == "proven"

    def test_files_that_an_earlier_version_folded(self) -> None:
        """A post-norm encoder whose stream is re-scaled, folded whole and with one norm kept."""
        for name in ("folded", "kept"):
            report = verify(EARLIER / "original.onnx", EARLIER / f"{name}.onnx")
            assert report.verdict == "proven", report
        kept, folded = (ir.load(EARLIER / f"{name}.onnx") for name in ("kept", "folded"))
        assert len(kept.graph) > len(folded.graph)

    def test_one_of_two_norms_kept(self) -> None:
        second = "k = Mul(h, a2)  l = Add(k, b2)  y = MatMul(l, w2)"
        model = build(
            "float[batch,3,6] x => float[batch,3,4] y",
            f"{NORM}  g = MatMul(n, w)  h = Relu(g)  {second}",
            **AFFINE, a2=(5,), b2=(5,), w=(CHANNELS, 5), w2=(5, 4),
        )  # fmt: skip
        folded, report = fold(model, keep=["Mul_4"])
        assert (len(report.folded), len(report.stayed)) == (1, 1)
        assert verify(model, folded).verdict == "proven"
        wrong = replaced(folded, "a2", lambda array: array * 1.01)
        assert places(verify(model, wrong))[0] == "a2"

    @pytest.mark.parametrize("name", ["w", "c"])
    def test_a_weight_one_percent_off_is_named(self, name: str) -> None:
        report = verify(small(), replaced(fold(small())[0], name, lambda array: array * 1.01))
        assert report.verdict == "not equal" and places(report) == [name]
        with pytest.raises(VerificationError, match=f"the graphs are not equal: .*'{name}'"):
            report.require()

    def test_swapped_columns(self) -> None:
        wrong = replaced(fold(small())[0], "w", lambda array: array[:, [1, 0, 2, 3]])
        assert places(verify(small(), wrong)) == ["w"]

    def test_a_constant_that_the_fold_leaves_alone_changed_by_one_bit(self) -> None:
        wrong = replaced(fold(small())[0], "v", lambda array: np.nextafter(array, np.float32(9)))
        assert places(verify(small(), wrong))[0] == "v"

    @pytest.mark.parametrize("row", [3, 97, 401, 998])
    def test_a_row_of_a_table_that_no_input_reads(self, row: int) -> None:
        model = build(
            "int64[batch,5] ids => float[batch,5,4] y",
            f"x = Gather(table, ids)  {NORM}  h = Gelu(n)  y = MatMul(h, w)",
            table=(1000, CHANNELS),
            **AFFINE,
            w=(CHANNELS, 4),
        )
        folded, _ = fold(model)
        assert verify(model, folded).verdict == "proven"

        def off(table: np.ndarray) -> np.ndarray:
            table[row] *= 1.01
            return table

        report = verify(model, replaced(folded, "table", off))
        assert report.verdict == "not equal" and places(report) == ["table"]

    @pytest.mark.parametrize("dims", [("batch", 3, 4), ("other", 3, 4)])
    def test_declared_shapes_are_part_of_the_signature(self, dims: tuple[int | str, ...]) -> None:
        model = small()
        folded, _ = fold(model)
        folded.graph.outputs[0].shape = ir.Shape(dims)
        assert verify(model, folded).passed == (dims[0] == "batch")


def two_branches(then: float, other: float) -> ir.Model:
    """A norm before a linear operator, and an If behind it."""
    body = (
        f"{NORM}  h = MatMul(n, w)  y = If(c) <"
        "then_branch = t () => (float[B,4] p)"
        f" {{ u = Constant<value_float = {then}>() p = Mul(h, u) }}, "
        "else_branch = e () => (float[B,4] q)"
        f" {{ v = Constant<value_float = {other}>() q = Mul(h, v) }}>"
    )
    return build("float[B,6] x, bool c => float[B,4] y", body, **AFFINE, w=(CHANNELS, 4))


def attention(keys: str) -> ir.Model:
    """A norm, queries, keys and values of it, and the attention; `keys` is what is transposed."""
    body = (
        f"{NORM}  q0 = MatMul(n, wq)  q = Add(q0, cq)  k0 = MatMul(n, wk)  k = Add(k0, ck)  "
        f"v = MatMul(n, wv)  t = Transpose<perm=[0,2,1]>({keys})  l = MatMul(q, t)  "
        "s = Softmax(l)  y = MatMul(s, v)"
    )
    square, row = (CHANNELS, CHANNELS), (CHANNELS,)
    return build(
        "float[B,T,6] x => float[B,T,6] y",
        body,
        **AFFINE,
        wq=square,
        wk=square,
        wv=square,
        cq=row,
        ck=row,
    )


class TestAFoldWithADifference:
    """Names are shared with the original's fold, and the graph is another one."""

    @pytest.mark.parametrize("inputs", [True, False])
    @pytest.mark.parametrize("changed", [(99.0, 3.0), (2.0, 99.0)])
    def test_a_branch_changed_whether_it_is_taken_or_not(
        self, changed: tuple[float, float], inputs: bool
    ) -> None:
        original = two_branches(2.0, 3.0)
        assert verify(original, fold(original)[0]).verdict == "proven"
        feeds = {"x": np.ones((2, 6), np.float32), "c": np.array(inputs)}
        report = verify(original, fold(two_branches(*changed))[0], inputs=feeds)
        assert report.verdict == "not equal" and places(report)[0] in ("If_3", "y")
        assert "If_3" in report.reason

    def test_the_bias_of_a_key_changes_no_output_and_is_seen(self) -> None:
        original = attention("k")
        folded, _ = fold(original)
        wrong = ir.to_proto(folded)
        (node,) = (n for n in wrong.graph.node if n.op_type == "Transpose")
        (add,) = (n for n in wrong.graph.node if n.output[0] == node.input[0])
        node.input[0] = add.input[0]
        wrong.graph.node.remove(add)
        report = verify(original, ir.from_proto(wrong))
        assert all(result.passed for result in report.outputs)
        assert report.verdict == "not equal" and places(report)[0] == "t"

    def test_an_edge_moved(self) -> None:
        original = attention("k")
        wrong = ir.to_proto(fold(original)[0])
        (node,) = (n for n in wrong.graph.node if n.op_type == "Transpose")
        node.input[0] = "q"
        report = verify(original, ir.from_proto(wrong))
        assert report.verdict == "not equal" and places(report)[0] == node.name
        assert "reads 'q', where the fold reads 'k'" in report.problems[0].text

    def test_an_edge_moved_to_a_tensor_that_happens_to_be_equal(self) -> None:
        def model(read: str) -> ir.Model:
            body = f"{NORM}  g = MatMul(n, w)  p = Relu(g)  q = Abs(g)  r = Add(p, q)"
            return build(
                "float[B,6] x => float[B,6] y, float[B,6] r",
                f"{body}  y = Neg({read})",
                a=np.ones(6, np.float32),
                b=np.full(6, 9, np.float32),
                w=np.eye(6, dtype=np.float32),
            )

        feeds = {"x": np.ones((2, 6), np.float32)}  # positive, so that Relu and Abs agree
        report = verify(model("p"), fold(model("q"))[0], inputs=feeds)
        assert all(result.error == 0 for result in report.outputs)
        assert report.verdict == "not equal"
        assert report.problems[0].text.endswith("reads 'q', where the fold reads 'p'")

    @pytest.mark.parametrize(("alpha", "verdict"), [(0.2, "proven"), (0.21, "not equal")])
    def test_an_attribute_that_no_input_brings_to_bear(self, alpha: float, verdict: str) -> None:
        def model(alpha: float) -> ir.Model:
            body = f"{NORM}  g = MatMul(n, w)  y = LeakyRelu<alpha={alpha}>(g)"
            return build("float[B,6] x => float[B,4] y", body, **AFFINE, w=(CHANNELS, 4))

        feeds = {"x": np.zeros((2, 6), np.float32)}
        report = verify(model(0.2), fold(model(alpha))[0], inputs=feeds)
        assert report.verdict == verdict

    def test_a_default_that_is_written_down_is_no_difference(self) -> None:
        def model(attribute: str) -> ir.Model:
            return build(
                "float[2,3,4] x => float[2,3,4] y", f"z = Abs(x) y = Softmax{attribute}(z)"
            )

        for attribute in ("<axis=-1>", "<axis=2>"):
            assert verify(model(""), model(attribute)).passed

    def test_an_equivalent_operator_in_its_place(self) -> None:
        model = attention("k")
        other, _ = to_ir(fold(model)[0])
        (softmax,) = (node for node in other.graph if node.op_type == "Softmax")
        log = ir.node("LogSoftmax", softmax.inputs)
        exp = ir.node("Exp", log.outputs)
        other.graph.insert_before(softmax, [log, exp])
        exp.outputs[0].name = "s_"
        ir.convenience.replace_all_uses_with(softmax.outputs[0], exp.outputs[0])
        other.graph.remove(softmax, safe=True)
        exp.outputs[0].name = "s"
        report = verify(model, other)
        assert report.verdict == "equal on these inputs"
        assert report.reason.endswith("'node_LogSoftmax_0' (LogSoftmax) is not in the fold")

    def test_no_input_gives_it_anything_to_compute(self) -> None:
        def model(last: str) -> ir.Model:
            body = f"{NORM}  g = MatMul(n, w)  p = Slice(g, eight, nine)  q = {last}(p)"
            return build(
                "float[B,6] x => float[M] y",
                f"{body}  z = ReduceSum<keepdims=0>(g, one)  s = ReduceSum<keepdims=0>(q, one)  "
                "y = Concat<axis=0>(z, s)",
                **AFFINE, w=(CHANNELS, 4), eight=[8], nine=[9], one=[1],
            )  # fmt: skip

        report = verify(model("Neg"), fold(model("Abs"))[0])
        assert report.verdict == "not equal" and places(report) == ["Abs_4"]
        assert "no input gives it anything to compute" in report.problems[0].text


class TestAnyOtherPair:
    def test_two_ways_to_the_same_numbers(self) -> None:
        first = build("float[B,T] x => float[B,T] y", "y = Add(x, x)")
        second = build("float[B,T] x => float[B,T] y", "y = Mul(x, two)", two=TWO)
        report = verify(first, second)
        assert report.verdict == "equal on these inputs" and report.passed
        assert report.reason.startswith("not a fold of the original: the operator 'Mul_0'")
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
        assert found == ["the outputs are ['q', 'p'], the original's ['p', 'q']"]

    def test_an_output_missing(self) -> None:
        less = small()
        less.graph.outputs.clear()
        found = self.reports(build("float[2] x => float[2] y", "y = Neg(x)"), less)
        assert "the outputs are" in found[-1]

    def test_another_type(self) -> None:
        found = self.reports(
            build("float[2] x => float[2] y", "y = Neg(x)"),
            build("float[2] x => double[2] y", "z = Neg(x) y = Cast<to=11>(z)"),
        )
        assert found == ["the output 'y' is DOUBLE, the original's FLOAT"]


class TestTheReport:
    def test_it_is_true_where_it_passed_and_reads_well(self) -> None:
        report = verify(small(), fold(small())[0])
        assert report and str(report).splitlines()[-1] == "proven"
        wrong = verify(small(), replaced(fold(small())[0], "c", lambda array: array[[1, 0, 2, 3]]))
        assert not wrong and str(wrong).splitlines()[-1] == "not equal"
        assert "'c'" in str(wrong)

    def test_json_has_passed_first(self) -> None:
        data = json.loads(verify(small(), fold(small())[0]).to_json())
        assert list(data)[:2] == ["passed", "verdict"]
        assert (data["passed"], data["verdict"], data["version"]) == (True, "proven", 2)

    def test_public_name(self) -> None:
        assert un_deploy.verify is verify

    def test_inputs_that_do_not_fit(self) -> None:
        with pytest.raises(InputError, match="the input 'x0' is missing"):
            verify(small(), small(), inputs={})


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_every_folded_constant_is_watched(kind: str) -> None:
    """Each in turn 1 % off; one that is all zeros, in its first entry."""
    pytest.importorskip("torch")
    from models.bert import bert_micro
    from models.vit import vit_micro
    from tests.support.networks.exports import exported

    def off(array: np.ndarray) -> np.ndarray:
        if array.any():
            return array * 1.01
        array.flat[0] = 1e-3
        return array

    model = exported({"vit": vit_micro, "bert": bert_micro}[kind], "un", dynamic=True)
    folded = fold_graph(to_ir(model)[0])
    assert verify_fold(model, folded).verdict == "proven"
    names = [change.new for change in folded.report.changes]
    assert len(names) > 8
    for name in names:
        wrong = replace(folded, model=replaced(folded.model, name, off))
        report = verify_fold(model, wrong)
        assert report.verdict == "not equal" and places(report)[0] == name
