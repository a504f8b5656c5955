"""Plans as variants: what they are held against, what is refused, and what the report says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.pipeline.compare.test_compare import LN, NONE, UN, model
from tests.runtime.trtexec.conftest import executable
from tests.support.comparing import compare_here
from tests.support.doubles import tensorrt_double as double
from tests.support.plans import plan_of
from un_deploy.engines.log import logger
from un_deploy.errors import InputError, MissingPackageError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.accuracy import require_accuracy
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.timing_process import Job, Seconds
from un_deploy.pipeline.compare.compare import compare
from un_deploy.runtime.tensorrt import engine_runtime
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime

EVALUATING = Path(__file__).parents[2] / "support" / "doubles" / "trtexec_evaluating.py"
QUICK: dict[str, Any] = {"builds": 2, "rounds": 2, "sample_s": 1e-4}
BATCHES = {"x": {"min": [1, 3, 4], "opt": [5, 3, 4], "max": [8, 3, 4]}}


@cache
def graphs() -> dict[str, ir.Model]:
    folded = fold_graph(model(UN)).model
    return {"ln": model(LN), "unfolded": model(UN), "none": model(NONE), "folded": folded}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every variant as an ONNX file and as a plan, and trtexec's double, which computes them."""
    for kind, graph in graphs().items():
        save_model(graph, tmp_path / f"{kind}.onnx")
        plan_of(tmp_path / f"{kind}.plan", graph, profiles=[BATCHES])
    text = f"TRTEXEC_DOUBLE_VERSION=101601 exec '{sys.executable}' '{EVALUATING}' \"$@\""
    monkeypatch.setenv("TRTEXEC", str(executable(tmp_path / "trtexec", text)))
    return tmp_path


def one_second(job: Job, folder: Path) -> Seconds:
    """For tests that look at everything but times."""
    return {entry.name: [1.0] * job.rounds for entry in job.entries}


def files(folder: Path, *names: str) -> dict[Any, Path]:
    """By kind; "folded.plan" is UN folded."""
    return {name.split(".")[0]: folder / name for name in names}


def compared(folder: Path, *names: str, **settings: Any) -> CompareReport:
    """Without a look at the clock."""
    given = {"backend": "trtexec", **QUICK, **settings}
    with pytest.MonkeyPatch.context() as patched:
        compare_here(patched, one_second)
        return compare(files=files(folder, *names), **given)


def rewritten(folder: Path, name: str, **changes: Any) -> None:
    """The plan with another manifest."""
    plan_of(folder / name, graphs()[name.split(".")[0]], **{"profiles": [BATCHES], **changes})


def test_plans_alone(folder: Path) -> None:
    report = compared(folder, "ln.plan", "unfolded.plan", "folded.plan")
    assert report.inputs == {"x": (5, 3, 4)}  # what the first profile is tuned for
    assert (report.backend, report.precision) == ("trtexec", "fp32")
    assert {(ratio.of, ratio.to) for ratio in report.ratios} == {
        ("ln", "folded"),
        ("unfolded", "folded"),
        ("ln", "unfolded"),
    }
    assert {one.kind: (one.operators, one.derived) for one in report.timed} == dict.fromkeys(
        ("ln", "unfolded", "folded"), (None, False)
    )
    sizes = {one.kind: one.plan_bytes for one in report.timed}
    assert sizes["ln"] == (folder / "ln.plan").stat().st_size
    assert report.missing == {"none": "not given, and not to be had from plans"}
    # LN has nothing to be held against; six digits of trtexec's output are.
    (only,) = report.accuracy
    assert (only.kind, only.against) == ("folded", "the plan of UN unfolded")
    assert 0 < only.error <= 1e-5
    assert [note for note in report.notes if note.startswith(("LN", "UN"))] == [
        "LN is a plan built of ln.onnx in fp32 by tensorrt 10.16.1.11: its outputs are only seen "
        "to be finite",
        "UN unfolded is a plan built of unfolded.onnx in fp32 by tensorrt 10.16.1.11: its outputs "
        "are only seen to be finite",
        "UN folded is a plan built of folded.onnx in fp32 by tensorrt 10.16.1.11: what was folded "
        "into it cannot be proven",
    ]
    assert CompareReport.from_json(report.to_json(), "it") == report


def test_times_and_memory_of_plans_in_trtexec(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_here(monkeypatch)
    rewritten(folder, "folded.plan", memory={"activation": 4096})
    given = files(folder, "ln.plan", "folded.plan")
    report = compare(files=given, backend="trtexec", **{**QUICK, "builds": 1})
    # The double's n-th inference takes 0.5 ms and n / 1024 more.
    assert all(5e-4 <= one.median_s < 2e-3 for one in report.timed)
    peaks = {one.kind: (one.peak_bytes, one.memory) for one in report.timed}
    assert peaks["folded"] == (
        4096,
        "activation memory of the plan for all its profiles, as its builder told",
    )
    assert peaks["ln"] == (None, "trtexec writes no memory into its files")


def test_a_plan_beside_a_graph_is_held_against_it(folder: Path) -> None:
    report = compared(folder, "unfolded.onnx", "folded.plan")
    assert [(one.kind, one.against) for one in report.accuracy] == [
        ("unfolded", "float64"),
        ("folded", "float64"),
    ]
    require_accuracy(report.accuracy, 1e-5)
    assert {one.kind: one.derived for one in report.timed} == {
        "unfolded": False,
        "folded": False,
        "none": True,  # taken out of the graph, not of the plan
    }
    assert any("the engines of UN unfolded are built here" in note for note in report.notes)


def test_a_plan_that_computes_something_else_is_seen(folder: Path) -> None:
    wrong = model(UN.replace("Mul(x", "Sub(x"))
    plan_of(folder / "folded.plan", wrong, profiles=[BATCHES])
    for other in ("unfolded.plan", "unfolded.onnx"):
        report = compared(folder, "folded.plan", other)
        assert {one.kind: one.error for one in report.accuracy}["folded"] > 0.1


def test_an_output_that_is_not_finite_is_refused(folder: Path) -> None:
    broken = model(LN.replace("Add(h", "Log(h").replace(", c)", ")"))
    plan_of(folder / "ln.plan", broken, profiles=[BATCHES])
    with pytest.raises(InputError, match=r"LN: output y of .*ln.plan is not finite"):
        compared(folder, "ln.plan", "folded.plan")


def test_a_bound_on_errors_needs_something_to_hold_plans_against(folder: Path) -> None:
    report = compared(folder, "ln.plan", "folded.plan")
    assert report.accuracy == ()
    with pytest.raises(InputError, match="plans have no graph to be held against"):
        require_accuracy(report.accuracy, 1.0)


def test_a_bound_on_errors_covers_every_variant(folder: Path) -> None:
    beside = compared(folder, "ln.plan", "unfolded.onnx", "folded.plan")
    require_accuracy(beside.accuracy, 1e-5, ("unfolded", "folded"))
    with pytest.raises(InputError, match="an error of LN cannot be bounded"):
        require_accuracy(beside.accuracy, 1e-5, ("ln", "unfolded", "folded"))
    plans = compared(folder, "unfolded.plan", "folded.plan")
    require_accuracy(plans.accuracy, 1e-5, ("unfolded", "folded"))  # one against the other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "fp16"}, "differ in precision, fp32 and fp16"),
        ({"tf32": False}, "differ in TF32, allowed and not allowed"),
        ({"precision": None}, "differ in precision, fp32 and that of its graph"),
        ({"flavor": "tensorrt-rtx"}, "differ in flavour, tensorrt and tensorrt-rtx"),
        ({"tensorrt": "10.16.1"}, "differ in TensorRT, 10.16.1.11 and 10.16.1"),
    ],
)
def test_plans_that_are_not_alike_are_refused(folder: Path, changes: dict, message: str) -> None:
    if changes.get("precision", "") is None:
        rewritten(folder, "folded.plan")
        _forget_precision(folder / "folded.plan.json")
    else:
        rewritten(folder, "folded.plan", **changes)
    with pytest.raises(InputError, match=message):
        compared(folder, "ln.plan", "folded.plan", backend="auto")


def _forget_precision(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"precision": "fp32"', '"precision": null'))


def test_a_graph_beside_a_plan_is_built_in_its_precision_or_not_at_all(folder: Path) -> None:
    rewritten(folder, "folded.plan", precision="fp16")
    with pytest.raises(InputError, match=r"the engine of LN would be in fp32: .* precision='fp16'"):
        compared(folder, "ln.onnx", "folded.plan")
    assert compared(folder, "ln.onnx", "folded.plan", precision="fp16").precision == "fp16"
    rewritten(folder, "folded.plan")
    _forget_precision(folder / "folded.plan.json")
    with pytest.raises(InputError, match="does not say its precision, so the engine of LN cannot"):
        compared(folder, "ln.onnx", "folded.plan")


def test_a_graph_beside_a_plan_is_built_with_its_tf32_or_not_at_all(folder: Path) -> None:
    assert compared(folder, "ln.onnx", "folded.plan").tf32 is True
    rewritten(folder, "folded.plan", tf32=False)
    with pytest.raises(
        InputError, match=r"was built with tf32=False, not tf32=True: .* give tf32=F"
    ):
        compared(folder, "ln.onnx", "folded.plan")
    assert compared(folder, "ln.onnx", "folded.plan", tf32=False).tf32 is False


def test_an_opset_that_was_lifted_for_a_plan_is_noted(folder: Path) -> None:
    lifted = {"precision": "bf16", "before": 20, "after": 22}
    rewritten(folder, "folded.plan", lifted_opset=lifted)
    told = "of the plan of UN folded: bf16 lifts the graph from opset 20 to 22, where more of its "
    notes = compared(folder, "ln.plan", "folded.plan").notes
    assert [note for note in notes if "lifts" in note] == [f"{told}operators take bf16"]


def test_plans_alone_have_the_precision_that_is_asked_for_or_are_refused(folder: Path) -> None:
    names = ("ln.plan", "folded.plan")
    assert compared(folder, *names, precision="fp32").precision == "fp32"
    with pytest.raises(InputError, match=r"ln\.plan is in fp32, not in fp16: a plan is what"):
        compared(folder, *names, precision="fp16")


def test_plans_alone_may_keep_their_precision_to_themselves(folder: Path) -> None:
    for name in ("ln", "folded"):
        _forget_precision(folder / f"{name}.plan.json")
    report = compared(folder, "ln.plan", "folded.plan")
    assert report.precision is None
    assert any("in the precision of that graph" in note for note in report.notes)


def test_other_options_and_profiles_are_noted(folder: Path) -> None:
    wide = {"x": {**BATCHES["x"], "max": [64, 3, 4]}}
    rewritten(folder, "folded.plan", profiles=[wide], options=["--refit"])
    notes = " ".join(compared(folder, "ln.plan", "folded.plan").notes)
    assert "of LN and UN folded were built with other profiles: their ratio holds" in notes
    assert "were built with other options" in notes
    assert "compute capabilities" not in notes


@pytest.mark.parametrize("backend", ["ort-cpu", "torch", "torch-compile", "tensorrt-rtx"])
def test_a_backend_that_does_not_run_the_plans(folder: Path, backend: str) -> None:
    message = f"ln.plan is a plan of TensorRT: it runs on .* tensorrt or trtexec, not on {backend}"
    with pytest.raises(InputError, match=message):
        compared(folder, "ln.plan", "folded.onnx", backend=backend)


def test_auto_is_the_flavour_of_the_plans(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingPackageError, match="tensorrt"):
        compared(folder, "ln.plan", "folded.plan", backend="auto")


def test_sizes_lie_in_every_plans_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with them is said before anything is loaded."""
    small = {"x": {"min": [1, 3, 4], "opt": [2, 3, 4], "max": [2, 3, 4]}}
    rewritten(folder, "folded.plan", profiles=[small])
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tensorrt", None)
        message = r"folded.plan cannot be run: .* 1x3x4 to 2x3x4, and got 5x3x4"
        with pytest.raises(InputError, match=message):
            compared(folder, "ln.plan", "folded.plan", backend="tensorrt")
    assert compared(folder, "ln.plan", "folded.plan", dims={"batch": 1}).batch == 1
    given = {"x": np.ones((2, 3, 4), np.float32)}
    assert compared(folder, "ln.plan", "folded.plan", inputs=given).batch == 2


def test_plans_of_other_networks_are_refused(folder: Path) -> None:
    other = ir.from_proto(ir.to_proto(model(LN)))
    other.graph.inputs[0].name = "z"
    plan_of(folder / "ln.plan", other)
    with pytest.raises(InputError, match=r"UN folded is not LN's network: .*inputs"):
        compared(folder, "ln.plan", "folded.plan")


def test_one_plan_alone_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="two variants at least; there is only UN folded"):
        compared(folder, "folded.plan")


def test_logs_of_a_sweep_lie_by_batch_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def build(job: Job, place: Path) -> Seconds:
        asked.append(job.logs)
        return one_second(job, place)

    compare_here(monkeypatch, build)
    given = {**QUICK, "backend": "trtexec", "batches": (2, 5), "logs": folder / "logs"}
    compare(files=files(folder, "ln.plan", "folded.plan"), **given)
    assert asked == [
        str(folder / "logs" / f"batch_{size}" / f"build_{build}")
        for size in (2, 5)
        for build in (1, 2)
    ]


def test_engines_are_not_built_of_plans(folder: Path) -> None:
    with pytest.raises(InputError, match="a plan is an engine already"):
        compared(folder, "ln.plan", "folded.plan", engines=True)
    with pytest.raises(InputError, match="plans do not tell ONNX operators to compare by"):
        compared(folder, "ln.plan", "folded.plan", profile=True)


@pytest.mark.torch
class TestInTensorRT:
    """On the recording double, in this process: its engines give twice their input."""

    @pytest.fixture(autouse=True)
    def on_the_double(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        pytest.importorskip("torch")
        monkeypatch.setitem(sys.modules, "tensorrt", double)
        monkeypatch.setattr(engine_runtime, "PlanRuntime", lambda mode: PlanRuntime(device="cpu"))
        compare_here(monkeypatch)
        logger.cache_clear()
        yield
        logger.cache_clear()

    def plan(self, path: Path) -> Path:
        engine = double.plan(
            inputs={"x": {"dtype": "FLOAT", "shape": [-1, 3, 4]}},
            outputs={"y": {"dtype": "FLOAT", "shape": [-1, 3, 4], "of": "x"}},
            profiles=[{"x": [BATCHES["x"][which] for which in ("min", "opt", "max")]}],
        )
        graph = model("y = Mul(x, a)")
        graph.graph.outputs[0].shape = ir.Shape(["batch", 3, 4])
        return plan_of(path, graph, profiles=[BATCHES], body=engine[64:])

    def test_from_plans_to_ratios_and_memory(self, tmp_path: Path) -> None:
        given = {kind: self.plan(tmp_path / f"{kind}.plan") for kind in ("unfolded", "folded")}
        report = compare(files=given, **QUICK)
        assert (report.backend, report.batch) == ("tensorrt", 5)
        assert {one.peak_bytes for one in report.timed} == {1000}
        assert {one.memory for one in report.timed} == {
            "what TensorRT reserves for activations and scratch, outputs not included"
        }
        assert [(one.against, one.error) for one in report.accuracy] == [
            ("the plan of UN unfolded", 0.0)
        ]
