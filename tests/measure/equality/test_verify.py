"""The pairs that are proven, the same graph twice and a fold; and what is seen in a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.measure.equality.pairs import (
    AFFINE,
    CHANNELS,
    attention_stack,
    places,
    replaced,
    small,
)
from tests.support.doubles.reference_runtime import ReferenceRuntime
from tests.support.graphs import NORM, build
from tests.support.odd_files import WAYS
from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.equality import second_look
from un_deploy.measure.equality.fold_again import fold_again
from un_deploy.measure.equality.verify import verify, verify_fold
from un_deploy.pipeline.fold_model import fold
from un_deploy.runtime.session import FileSession

pytest.importorskip("onnxruntime")

EARLIER = Path(__file__).parent / "folded_earlier"


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
            == "in the other order: the first network was held against un-deploy's fold of the "
            "second network"
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

    @pytest.mark.parametrize(
        "other",
        [
            "q = BatchNormalization(z, s, t, t, r)",
            "k = If(c) <then_branch = g () => (float[] u) { v = Mul(z, a) u = Add(v, b) }, "
            "else_branch = h () => (float[] o) { o = Neg(z) }> q = Relu(k)",
            "k = ai.onnx.ml.Scaler<offset=[0.5],scale=[2.0]>(z) q = Relu(k)",
        ],
        ids=["a parameter that is an input", "in a body", "a Scaler"],
    )
    def test_one_of_two_norms_kept_beside_one_that_none_can_keep(self, other: str) -> None:
        body = (
            f"{NORM} g = MatMul(n, w) h = Relu(g) k1 = Mul(h, a2) l = Add(k1, b2) y = Gemm(l, w2)"
        )
        model = build(
            "float[B,6] x, float[B,6] z, float[6] s, bool c => float[B,4] y, float[B,6] q",
            f"{body} {other}",
            a=(6,), b=(6,), w=(6, 5), a2=(5,), b2=(5,), w2=(5, 4), t=(6,), r=np.ones(6, np.float32),
        )  # fmt: skip
        model.opset_imports["ai.onnx.ml"] = 1
        folded, _ = fold(model, keep=["Add_1"])
        assert verify(model, folded).verdict == "proven"

    def test_one_norm_kept_and_one_that_only_stays_beside_layouts_that_went(self) -> None:
        """Beside a norm that is kept, layouts stay too."""
        view = "r = Reshape(q, heads) t = Transpose<perm=[0,2,1,3]>(r)"
        back = "u = Transpose<perm=[0,2,1,3]>(t) z = Reshape(u, joined)"
        body = f"{NORM} p = MatMul(n, w) e = Mul(p, a2) q = Sigmoid(e) {view} {back}"
        model = build(
            "float[2,S,6] x => float[2,S,4] y",
            f"{body} s = Mul(z, a2) o = Add(s, b2) y = Sigmoid(o)",
            a=(6,), b=(6,), w=(6, 4), a2=(4,), b2=(4,),
            heads=np.array([0, 0, 2, 2]), joined=np.array([0, 0, 4]),
        )  # fmt: skip
        folded, report = fold(model, keep=["Add_1"])
        assert (len(report.folded), len(report.stayed)) == (1, 2)
        assert len(folded.graph) == len(model.graph) - 5
        assert fold_again(to_ir(model)[0], to_ir(folded)[0]).difference == ""
        assert verify(model, folded).verdict == "proven"

    @pytest.mark.parametrize(
        "linear",
        ["y = Conv<pads=[1,1]>(n, w)", "r = Relu(n) y = Conv(r, w)", "y = ConvTranspose(n, w)"],
    )
    def test_a_norm_kept_whose_shift_would_stay(self, linear: str) -> None:
        body = f"{NORM} {linear}"
        model = build("float[B,4,6] x => float[B,C,L] y", body, a=(4, 1), b=(4, 1), w=(4, 4, 3))
        folded, report = fold(model, keep=["Add_1"])
        assert report.stayed and len(folded.graph) == len(model.graph)
        sibling = fold(model)[0]
        assert len(sibling.graph) == len(model.graph) - 1
        assert verify(model, sibling).verdict == verify(model, folded).verdict == "proven"

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

    @pytest.mark.parametrize("depth", [12, 48])
    def test_an_ill_conditioned_network(self, depth: int) -> None:
        """Its own rounding grows with the depth, until outputs say nothing; the proof does not."""
        model = attention_stack(depth)
        folded, report = fold(model)
        found = verify(model, folded)
        assert len(report.folded) == depth and found.verdict == "proven"
        if depth == 48:
            assert found.outputs[0].own > 1e-3 and found.outputs[0].allowed is None
            assert "the outputs say nothing" in found.notes[0]

    def test_a_random_operator_behind_the_norm(self) -> None:
        body = f"{NORM}  h = MatMul(n, w)  r = RandomNormalLike(h)  y = Add(h, r)  z = Neg(h)"
        signature = "float[B,6] x => float[B,4] y, float[B,4] z"
        model = build(signature, body, **AFFINE, w=(CHANNELS, 4))
        report = verify(model, fold(model)[0])
        assert report.verdict == "proven"
        assert [result.output for result in report.outputs] == ["z"]


@pytest.mark.torch
def test_every_folded_constant_is_watched() -> None:
    """Each in turn 1 % off; one that is all zeros, in its first entry. Of all micro networks the
    proof alone is asked in tests/graph/fold/test_networks.py."""
    pytest.importorskip("torch")
    from models.bert import bert_micro
    from tests.support.networks.exports import exported

    def off(array: np.ndarray) -> np.ndarray:
        if array.any():
            return array * 1.01
        array.flat[0] = 1e-3
        return array

    model = exported(bert_micro, "un", dynamic=True)
    folded = fold_graph(to_ir(model)[0])
    assert verify_fold(model, folded).verdict == "proven"
    names = [change.new for change in folded.report.changes]
    assert len(names) > 8
    for name in names:
        wrong = replace(folded, model=replaced(folded.model, name, off))
        report = verify_fold(model, wrong)
        assert report.verdict == "not equal" and places(report)[0] == name


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("maps_as_output", "the output 'z' is no tensor: it is not compared"),
        ("a_sequence_as_output", "the output 's' is no tensor: it is not compared"),
        ("a_sequence_as_input", "outputs were not compared: input s: sequence of float32"),
        ("a_map_as_input", "outputs were not compared: input w: map is no tensor, and cannot be"),
    ],
)
def test_what_is_no_tensor_is_proven_and_not_compared(name: str, note: str) -> None:
    original = WAYS[name]().model
    report = verify(original, fold(original)[0])
    assert report.verdict == "proven"
    assert [said[: len(note)] for said in report.notes] == [note]
    assert [result.output for result in report.outputs] == ["y"] * ("output" in name)
