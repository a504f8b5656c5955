"""Verification: what a right fold shows, and each way in which a wrong one is caught."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.float64 import run
from tests.support.graphs import NORM, build
from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.floating import widen
from un_deploy.graph.fold.fold import Folded, fold, fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.proof.operator_check import Blind
from un_deploy.measure.equality import verify as module
from un_deploy.measure.equality.verify import feeds_of, verify, verify_fold
from un_deploy.runtime.reference import ReferenceRuntime
from un_deploy.runtime.session import FileSession

CHANNELS = 6


def small() -> ir.Model:
    """Linear, norm, linear: the norm folds into the second one."""
    return build(
        "float[batch,3,6] x0 => float[batch,3,4] y",
        f"x = MatMul(x0, v)  {NORM}  h = MatMul(n, w)  y = Add(h, c)",
        a=(CHANNELS,),
        b=(CHANNELS,),
        v=(CHANNELS, CHANNELS),
        w=(CHANNELS, 4),
        c=(4,),
    )


def replaced(model: ir.Model, name: str, change: Callable[[np.ndarray], np.ndarray]) -> ir.Model:
    """A copy in which one initializer holds other numbers."""
    copy, _ = to_ir(model)
    value = copy.graph.initializers[name]
    array = value.const_value.numpy().copy()
    value.const_value = ir.Tensor(change(array).astype(array.dtype), name=name)
    return copy


@pytest.fixture(params=[True, False], ids=["with onnxruntime", "base install"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each test with this runs with a runtime and without one."""
    if request.param:
        pytest.importorskip("onnxruntime")
    else:
        monkeypatch.setattr(module, "available_runtime", lambda: None)
    return request.param


class TestFold:
    def test_a_fold_is_proven_operator_by_operator(self, runtime: bool) -> None:
        model = small()
        folded, _ = fold(model)
        report = verify(model, folded)
        assert (report.kind, report.reason, report.problems) == ("fold", "", ())
        assert report.passed
        assert report.operators == 2  # a MatMul, and a MatMul together with its bias
        assert 0 < report.worst.ratio <= 1
        runtimes = ["float64", "onnxruntime"] if runtime else ["float64"]
        assert [result.runtime for result in report.outputs] == runtimes
        assert all(0 < result.error < 1e-6 and result.allowed < 4e-6 for result in report.outputs)
        assert (report.notes == ()) == runtime
        report.require()

    def test_public_name(self) -> None:
        assert un_deploy.verify is verify

    def test_files(self, tmp_path: Path) -> None:
        a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
        save_model(small(), a)
        save_model(fold(a)[0], b)
        assert verify(a, str(b)).kind == "fold"

    def test_kept_norms_are_named_again(self) -> None:
        model = small()
        folded, report = fold(model, keep=["Mul_1"])
        assert report.stayed
        assert verify(model, folded, keep=["Mul_1"]).kind == "fold"
        assert verify(model, folded).kind == "outputs"

    def test_what_fold_graph_returned_needs_no_second_plan(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = small()
        folded = fold_graph(to_ir(model)[0])
        monkeypatch.setattr(module, "fold_graph", None)
        feeds = [{"x0": np.ones((2, 3, CHANNELS), np.float32)}] * 2
        report = verify_fold(model, folded, feeds)
        assert report.passed and report.kind == "fold" and report.runs == 2

    @pytest.mark.parametrize("name", ["w", "c"])
    def test_a_folded_weight_one_percent_off(self, name: str, runtime: bool) -> None:
        model = small()
        wrong = replaced(fold(model)[0], name, lambda array: array * 1.01)
        report = verify(model, wrong)
        assert report.kind == "fold" and not report.passed
        assert report.failures[0].node == "Add_4"
        with pytest.raises(VerificationError, match="operator 'Add_4'"):
            report.require()

    def test_swapped_columns(self) -> None:
        model = small()
        wrong = replaced(fold(model)[0], "w", lambda array: array[:, [1, 0, 2, 3]])
        assert not verify(model, wrong).passed

    def test_an_initializer_that_the_fold_leaves_alone_changed_by_one_bit(self) -> None:
        model = small()
        wrong = replaced(fold(model)[0], "v", lambda array: np.nextafter(array, np.float32(9)))
        assert "initializer 'v' is no part of the fold and has changed" in (
            verify(model, wrong).problems
        )

    def test_the_weights_are_checked_as_they_are_saved(self) -> None:
        """In float16 the same fold is off by float16's rounding, and still allowed."""
        model = build(
            "float16[2,6] x => float16[2,4] y",
            f"{NORM}  h = MatMul(n, w)  y = Add(h, c)",
            dtype=np.float16,
            a=(CHANNELS,),
            b=(CHANNELS,),
            w=(CHANNELS, 4),
            c=(4,),
        )
        report = verify(model, fold(model)[0])
        assert report.passed
        float64 = report.outputs[0]
        assert 1e-5 < float64.error <= float64.allowed == 32 * 2.0**-10

    @pytest.mark.parametrize("dims", [("batch", 3, 4), ("other", 3, 4)])
    def test_declared_shapes_are_part_of_the_signature(self, dims: tuple[int | str, ...]) -> None:
        model = small()
        folded, _ = fold(model)
        folded.graph.outputs[0].shape = ir.Shape(dims)
        assert verify(model, folded).passed == (dims[0] == "batch")

    def test_rows_that_no_input_reached_are_named(self) -> None:
        model = build(
            "int64[batch] ids => float[batch,4] y",
            f"x = Gather(table, ids)  {NORM}  h = Gelu(n)  y = MatMul(h, w)",
            table=(9, CHANNELS),
            a=(CHANNELS,),
            b=(CHANNELS,),
            w=(CHANNELS, 4),
        )
        folded = fold_graph(to_ir(model)[0])
        first, second = ({"ids": np.array(ids)} for ids in ([0, 1, 2, 2], [3, 4, 5, 6]))
        table = Blind("table", rows=5, of=9)
        assert verify_fold(model, folded, [second]).blind == (table,)
        assert verify_fold(model, folded, [first, second]).blind == (table,)  # 5, or fewer
        assert verify_fold(model, folded, [first, {"ids": np.arange(9)}]).blind == ()

    def test_an_operator_that_stands_for_nothing(self) -> None:
        model = small()
        folded = fold_graph(to_ir(model)[0])
        lost = {**folded.values, "x": ("no such tensor", Affine.identity(0))}
        report = verify_fold(model, replace(folded, values=lost), feeds_of(model, None))
        assert report.problems == ("operator 'MatMul_0' stands for nothing in the original",)

    def test_a_runtime_that_takes_the_original_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Picky(ReferenceRuntime):
            def load(self, model: ir.Model) -> FileSession:
                if len(model.graph) < 5:
                    raise InputError("picky cannot load the graph")
                return super().load(model)

        monkeypatch.setattr(module, "available_runtime", Picky)
        report = verify(small(), fold(small())[0])
        assert report.kind == "fold" and report.problems == ("picky cannot load the graph",)

    def test_json(self) -> None:
        model = small()
        report = verify(model, replaced(fold(model)[0], "c", lambda array: array[[1, 0, 2, 3]]))
        data = json.loads(report.to_json())
        assert data["version"] == 1 and data["passed"] is False and data["kind"] == "fold"
        assert data["worst"]["ratio"] == report.worst.ratio > data["tolerance"]


class TestAnyOtherPair:
    def test_the_same_graph_twice_compares_outputs_and_says_so(self, runtime: bool) -> None:
        report = verify(small(), small())
        assert report.kind == "outputs" and report.passed
        assert "is not as the fold has it" in report.reason
        assert report.operators == 0 and report.worst is None
        assert report.outputs[0].error == 0

    def test_a_difference(self) -> None:
        report = verify(small(), replaced(small(), "w", lambda array: array * 1.01))
        assert not report.passed and not report.outputs[0].passed
        assert report.problems[0].startswith("output 'y' differs by ")

    def test_two_outputs_swapped(self) -> None:
        def two(first: str, second: str) -> ir.Model:
            return build(f"float[2] x => float[2] {first}, float[2] {second}", "p=Neg(x) q=Abs(x)")

        report = verify(two("p", "q"), two("q", "p"))
        assert report.problems == ("the outputs are ['q', 'p'], the original's ['p', 'q']",)
        assert report.outputs == ()

    def test_an_output_missing(self) -> None:
        less = small()
        less.graph.outputs.clear()
        more = build("float[2] x => float[2] y", "y = Neg(x)")
        assert "the outputs are" in verify(more, less).problems[-1]

    def test_another_type(self) -> None:
        report = verify(
            build("float[2] x => float[2] y", "y = Neg(x)"),
            build("float[2] x => double[2] y", "z = Neg(x) y = Cast<to=11>(z)"),
        )
        assert report.problems == ("output 'y' is DOUBLE, the original's FLOAT",)

    @pytest.mark.parametrize("body", ["z = Neg(x) y = Sqrt(z)", "z = Sub(x, x) y = Div(x, z)"])
    def test_what_is_not_finite_never_passes(self, body: str, runtime: bool) -> None:
        """Not even where both graphs agree on it."""
        model = build("float[2] x => float[2] y", body)
        report = verify(model, model, inputs={"x": np.ones(2, np.float32)})
        assert not report.passed
        assert all(math.isnan(result.error) for result in report.outputs)
        assert "is not finite" in report.problems[0]
        assert json.loads(report.to_json())["outputs"][0]["error"] is None

    def test_integers_must_be_equal(self) -> None:
        first = build("int64[2] x => int64[2] y", "y = Add(x, one)", one=1)
        second = build("int64[2] x => int64[2] y", "y = Add(x, one)", one=2)
        feeds = {"x": np.array([3, 4])}
        assert verify(first, first, inputs=feeds).passed
        report = verify(first, second, inputs=feeds)
        assert report.outputs[0].error == 1 and report.outputs[0].allowed == 0

    def test_a_runtime_that_does_not_take_the_original_says_nothing(self) -> None:
        pytest.importorskip("onnxruntime")
        model = build("bfloat16[2] x => bfloat16[2] y", "y = Mod<fmod=1>(x, x)")
        report = verify(model, model, inputs={"x": np.ones(2, ir.DataType.BFLOAT16.numpy())})
        assert "the original itself does not run: onnxruntime" in report.notes[0]
        assert [result.runtime for result in report.outputs] == ["float64"]


class TestRefusals:
    def test_nan_in_a_weight(self) -> None:
        broken = replaced(small(), "w", lambda array: array * np.nan)
        for pair in ((broken, small()), (small(), broken)):
            with pytest.raises(InputError, match="the weight 'w' has 24 NaN of 24"):
                verify(*pair)

    def test_inputs_that_do_not_fit(self) -> None:
        with pytest.raises(InputError, match="the input 'x0' is missing"):
            verify(small(), small(), inputs={})

    def test_an_operator_that_cannot_be_run(self) -> None:
        model = build("float[2] x => float[2] y", "y = custom.Nothing(x)")
        model.opset_imports["custom"] = 1
        with pytest.raises(InputError, match=r"\(Nothing\) cannot be run in float64"):
            verify(model, model)


class TestSizesThatAModelRunsOn:
    SIGNATURE = "float[batch,3,height,width] x => float[batch,4] y"

    @staticmethod
    def shape(signature: str, body: str, **weights: tuple[int, ...]) -> tuple[int, ...]:
        model = build(signature, body, **weights, axes=[2, 3])
        (feeds,) = feeds_of(model, None)
        return feeds["x"].shape

    def test_the_usual_one_where_it_will_do(self) -> None:
        body = "c = Conv(x, w) y = ReduceMean<keepdims=0>(c, axes)"
        assert self.shape(self.SIGNATURE, body, w=(4, 3, 8, 8)) == (2, 3, 8, 8)

    def test_an_image_that_is_larger_than_the_window(self) -> None:
        body = "c = Conv(x, w) y = ReduceMean<keepdims=0>(c, axes)"
        assert self.shape(self.SIGNATURE, body, w=(4, 3, 9, 9)) == (2, 3, 32, 32)

    def test_an_image_of_which_something_is_left(self) -> None:
        body = "c = Conv<strides=[16,16]>(x, w) p = Slice(c, one, two, axes)"
        body += " y = ReduceMean<keepdims=0>(p, axes)"
        weights = {"w": (4, 3, 8, 8), "one": [1, 1], "two": [9, 9]}
        assert self.shape(self.SIGNATURE, body, **weights) == (2, 3, 32, 32)

    def test_none_will_do(self) -> None:
        body = "c = Conv(x, w) y = ReduceMean<keepdims=0>(c, axes)"
        assert self.shape(self.SIGNATURE, body, w=(4, 3, 600, 600)) == (2, 3, 8, 8)


@cache
def network(kind: str) -> tuple[ir.Model, Folded]:
    """A trained-like network, and its fold."""
    pytest.importorskip("torch")
    from models.bert import bert_micro
    from models.vit import vit_micro
    from tests.support.networks.exports import exported

    model = exported({"vit": vit_micro, "bert": bert_micro}[kind], "un", dynamic=True)
    return model, fold_graph(to_ir(model)[0])


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_every_folded_initializer_is_watched(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in turn 1 % off; one that is all zeros, off by 1 % of its output's range."""
    monkeypatch.setattr(module, "available_runtime", lambda: None)
    model, folded = network(kind)
    names = [change.new for change in folded.report.changes]
    assert len(names) > 8
    feeds = feeds_of(model, None)
    assert verify_fold(model, folded, feeds).passed
    ranges = output_ranges(folded.model, feeds[0])
    missed = []
    for name in names:
        (reader, *_) = folded.model.graph.initializers[name].consumers()
        step = 0.01 * ranges[reader.outputs[0].name]
        wrong = replaced(folded.model, name, lambda a, s=step: a * 1.01 if a.any() else a + s)
        if verify_fold(model, replace(folded, model=wrong), feeds).passed:
            missed.append(name)
    assert missed == []


def output_ranges(model: ir.Model, feeds: Mapping[str, np.ndarray]) -> dict[str, float]:
    """max - min of every tensor."""
    ranges: dict[str, float] = {}

    def note(node: ir.Node, values: Mapping[ir.Value, np.ndarray]) -> None:
        ranges.update((v.name, float(np.ptp(values[v]))) for v in node.outputs)

    run(model, feeds, lambda value: widen(value.const_value.numpy()), note)
    return ranges
