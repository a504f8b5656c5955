"""Networks that share their names with the original's fold, and are another one."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx_ir as ir
import pytest

from tests.measure.equality.pairs import (
    AFFINE,
    CHANNELS,
    attention,
    places,
    replaced,
    two_branches,
)
from tests.support.graphs import NORM, build
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.equality.verify import verify
from un_deploy.pipeline.fold_model import fold

pytest.importorskip("onnxruntime")


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

    @pytest.mark.parametrize("trips", [0, 2])
    def test_a_loop_whose_body_changed_whether_it_runs_or_not(self, trips: int) -> None:
        def model(step: str) -> ir.Model:
            body = (
                f"{NORM}  h = MatMul(n, w)  c = Constant<value = bool {{1}}>()  "
                "y = Loop(trips, c, h) <"
                "body = l (int64 i, bool go, float[B,6] p) => (bool on, float[B,6] q)"
                f" {{ on = Identity(go) q = {step}(p) }}>"
            )
            signature = "float[B,6] x, int64 trips => float[B,6] y"
            return build(signature, body, **AFFINE, w=(CHANNELS, CHANNELS))

        feeds = {"x": np.ones((2, 6), np.float32), "trips": np.array(trips)}
        report = verify(model("Tanh"), fold(model("Sigmoid"))[0], inputs=feeds)
        assert report.verdict == "not equal" and places(report)[0] == "Loop_4"

    @pytest.mark.parametrize("taken", [(c, d) for c in (True, False) for d in (True, False)])
    def test_a_branch_within_a_branch(self, taken: tuple[bool, bool]) -> None:
        def model(inner: str) -> ir.Model:
            body = (
                f"{NORM}  h = MatMul(n, w)  y = If(c) <then_branch = t () => (float[B,4] p)"
                " { p = If(d) <then_branch = t2 () => (float[B,4] p2) { p2 = Neg(h) }, "
                f"else_branch = e2 () => (float[B,4] p3) {{ p3 = {inner}(h) }}> }}, "
                "else_branch = e () => (float[B,4] q) { q = Abs(h) }>"
            )
            return build("float[B,6] x, bool c, bool d => float[B,4] y", body, **AFFINE, w=(6, 4))

        c, d = (np.array(one) for one in taken)
        feeds = {"x": np.ones((2, 6), np.float32), "c": c, "d": d}
        report = verify(model("Relu"), fold(model("Exp"))[0], inputs=feeds)
        assert report.verdict == "not equal" and "If_3" in report.reason

    def test_a_row_of_a_table_that_the_fold_left_alone(self) -> None:
        body = f"e = Gather(t, ids)  r = Relu(e)  {NORM}  h = MatMul(n, w)  y = Add(h, r)"
        signature = "int64[B,5] ids, float[B,5,6] x => float[B,5,6] y"
        model = build(signature, body, **AFFINE, t=(40, CHANNELS), w=(CHANNELS, CHANNELS))

        def off(table: np.ndarray) -> np.ndarray:
            table[33] *= 1.01
            return table

        report = verify(model, replaced(fold(model)[0], "t", off))
        assert report.verdict == "not equal" and places(report)[0] == "t"

    def test_the_bias_of_a_key_changes_no_output_and_is_seen(self) -> None:
        original = attention("k")
        folded, _ = fold(original)
        wrong = ir.to_proto(folded)
        (node,) = (n for n in wrong.graph.node if n.op_type == "Transpose")
        (add,) = (n for n in wrong.graph.node if n.output[0] == node.input[0])
        node.input[0] = add.input[0]
        wrong.graph.node.remove(add)
        report = verify(original, ir.from_proto(wrong))
        assert report.verdict == "not equal" and places(report)[0] == "Transpose_7"

    def test_an_edge_moved(self) -> None:
        original = attention("k")
        wrong = ir.to_proto(fold(original)[0])
        (node,) = (n for n in wrong.graph.node if n.op_type == "Transpose")
        node.input[0] = "q"
        report = verify(original, ir.from_proto(wrong))
        assert report.verdict == "not equal" and places(report)[0] == node.name
        assert (
            "reads 'q', where un-deploy's fold of the first network reads 'k'"
            in report.problems[0].text
        )

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
        assert report.problems[0].text.endswith(
            "reads 'q', where un-deploy's fold of the first network reads 'p'"
        )

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
        assert report.reason.endswith(
            "'node_LogSoftmax_0' (LogSoftmax) of the second network is not in un-deploy's fold of "
            "the first network"
        )

    @pytest.mark.parametrize(
        ("axes", "verdict"), [("", "not equal"), (", one", "proven")], ids=["of the batch", "none"]
    )
    def test_what_is_empty_at_most_sizes_or_at_all(self, axes: str, verdict: str) -> None:
        """A ninth row comes with a larger batch; a ninth of four columns never does."""

        def model(last: str) -> ir.Model:
            body = f"{NORM}  g = MatMul(n, w)  p = Slice(g, eight, nine{axes})  q = {last}(p)"
            return build(
                "float[B,6] x => float[M] y",
                f"{body}  z = ReduceSum<keepdims=0>(g, one)  s = ReduceSum<keepdims=0>(q, one)  "
                "y = Concat<axis=0>(z, s)",
                **AFFINE, w=(CHANNELS, 4), eight=[8], nine=[9], one=[1],
            )  # fmt: skip

        report = verify(model("Neg"), fold(model("Abs"))[0])
        assert report.verdict == verdict
        assert places(report) == (["Abs_4"] if verdict == "not equal" else [])

    def test_what_is_empty_on_all_inputs_and_known_to_the_runtime_alone(self) -> None:
        """Entries beyond 1e20 are picked, and there are none."""

        def model(last: str) -> ir.Model:
            return build(
                "float[B,6] x => float[M] y",
                f"{NORM}  g = MatMul(n, w)  over = Greater(g, huge)  r = NonZero(over)  "
                "t = Transpose<perm=[1,0]>(r)  p = GatherND(g, t)  "
                f"q = com.microsoft.{last}(p)  z = ReduceSum<keepdims=0>(g, one)  "
                "s = ReduceSum(q)  y = Concat<axis=0>(z, s)",
                **AFFINE, w=(CHANNELS, 4), huge=np.float32([1e20]), one=[1],
            )  # fmt: skip

        report = verify(model("QuickGelu"), fold(model("Gelu"))[0])
        assert report.verdict == "not equal" and places(report) == ["Gelu_7"]
        assert "no input gives it anything to compute" in report.problems[0].text


class TestAnOperatorLeftOut:
    """The rest is the fold, and what reads the missing operator's tensor nobody can compute."""

    signature = "float[B,6] x => float[B,6] y"

    def original(self, left_out: str) -> ir.Model:
        body = f"{NORM} h = MatMul(n, w) s = {left_out} p = Gelu(s) y = MatMul(p, v)"
        shape = (CHANNELS, CHANNELS)
        return build(self.signature, body, **AFFINE, w=shape, v=shape, tiny=np.float32(1e-7))

    def without(self, left_out: str) -> ir.Model:
        graph = ir.to_proto(fold(self.original(left_out))[0])
        (node,) = (n for n in graph.graph.node if n.output[0] == "s")
        (reader,) = (n for n in graph.graph.node if n.op_type == "Gelu")
        reader.input[0] = node.input[0]
        graph.graph.node.remove(node)
        return ir.from_proto(graph)

    @pytest.mark.parametrize("left_out", ["Identity(h)", "Dropout(h)", "Cast<to=1>(h)"])
    def test_one_that_does_nothing_is_proven_to(self, left_out: str) -> None:
        report = verify(self.original(left_out), self.without(left_out))
        assert report.verdict == "proven"

    def test_one_whose_effect_rounding_hides_is_seen_by_the_proof(self) -> None:
        report = verify(self.original("Add(h, tiny)"), self.without("Add(h, tiny)"))
        assert report.verdict == "cannot tell"
        assert all(result.passed for result in report.outputs)
        assert places(report)[0] == "Gelu_4"


def test_a_rewritten_constant_may_stand_in_a_constant_node() -> None:
    """Other tools write them so; the numbers are held against the fold's all the same."""
    model = build("float[B,6] x => float[B,4] y", f"{NORM} y = MatMul(n, w)", **AFFINE, w=(6, 4))
    for factor in (1.0, 1.01):
        graph = ir.to_proto(fold(model)[0])
        (weight,) = (t for t in graph.graph.initializer if t.name == "w")
        array = onnx.numpy_helper.to_array(weight) * np.float32(factor)
        held = onnx.numpy_helper.from_array(array, "w")
        graph.graph.initializer.remove(weight)
        graph.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["w"], value=held))
        report = verify(model, ir.from_proto(graph))
        assert report.verdict == ("proven" if factor == 1 else "not equal")


def test_outputs_without_a_finite_entry_tell_nothing() -> None:
    """The square root of what is negative: NaN on both sides, whatever the weights."""
    signature = "float[B,6] x => float[B,4] y"
    body = "h = MatMul(x, {0}) e = Exp(h) n = Neg(e) y = Sqrt(n)"
    first, second = (build(signature, body.format(name), **{name: (6, 4)}) for name in ("w", "v"))
    report = verify(first, second)
    assert report.verdict == "cannot tell" and "no finite entry" in report.reason


def test_what_was_said_of_kept_norms_does_not_make_a_right_fold_wrong() -> None:
    model = build("float[B,6] x => float[B,4] y", f"{NORM} y = MatMul(n, w)", **AFFINE, w=(6, 4))
    assert verify(model, fold(model)[0], keep=["Mul_0"]).verdict == "proven"
