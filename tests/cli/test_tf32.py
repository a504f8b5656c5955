"""--tf32 and --no-tf32: what is asked for is what is built and run, and what is said of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import compare_here
from tests.support.graphs import build
from tests.support.plans import plan_of
from un_deploy.cli import show
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.pipeline.profile import profile

pytest.importorskip("onnxruntime")

DOUBLE = Path(__file__).parents[1] / "support" / "doubles" / "trtexec_evaluating.py"
ONCE = ("--builds", "1", "--rounds", "2", "--dim", "batch=2")
GIVEN = ("compare", "--unfolded", "model.onnx", *ONCE)
CONV = "float[1,1,4,4] x => float[1,1,2,2] y", "y = Conv(x, w)"
LIFTED = "bf16 lifts the graph from opset 20 to 22, where more of its operators take bf16"


@pytest.fixture(autouse=True)
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_here(monkeypatch)


@pytest.fixture
def calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a double of trtexec was called with, a line each."""
    binary, log = folder / "trtexec", folder / "calls"
    version = "TRTEXEC_DOUBLE_VERSION=101601"
    run = f"{version} exec '{sys.executable}' '{DOUBLE}' \"$@\""
    binary.write_text(f"#!/bin/sh\necho \"$@\" >> '{log}'\n{run}\n")
    binary.chmod(0o755)
    monkeypatch.setenv("TRTEXEC", str(binary))
    return log


def said(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("option", "tf32", "told"),
    [
        ((), True, "fp32, TF32 allowed"),
        (("--tf32",), True, "fp32, TF32 allowed"),
        (("--no-tf32",), False, "fp32 without TF32"),
        (("--noTF32",), False, "fp32 without TF32"),
    ],
)
class TestOfEngines:
    def test_a_comparison_says_which_it_was(
        self, run: Run, folder: Path, calls: Path, option: tuple[str, ...], tf32: bool, told: str
    ) -> None:
        gate = ("--max-error", "1e-9", "-o", "r.json", "--backend", "trtexec")
        result = run(*GIVEN, *gate, *option)
        assert f", {told}; x [2, 3, 6]" in said(result.stdout)
        assert result.stderr.startswith(f"error: trtexec in {told}: UN ")
        assert json.loads((folder / "r.json").read_text())["tf32"] is tf32
        built = [call for call in calls.read_text().splitlines() if "--saveEngine=" in call]
        assert built
        assert {"--noTF32" in call for call in built} == {not tf32}

    def test_a_build_says_which_it_was(
        self, run: Run, folder: Path, option: tuple[str, ...], tf32: bool, told: str
    ) -> None:
        pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
        flags = ("--precision", "fp32", "--shapes", "x:8x3x6")
        result = run("build", "model.onnx", "-o", "m.plan", *flags, *option)
        assert result.exit_code == 0, result.stderr
        assert f", {told}; " in said(result.stdout)
        manifest = json.loads((folder / "m.plan.json").read_text())
        assert (manifest["tf32"], manifest["options"]) == (tf32, [] if tf32 else ["--noTF32"])

    def test_engines_beside_a_comparison_on_the_cpu(
        self, run: Run, folder: Path, option: tuple[str, ...], tf32: bool, told: str
    ) -> None:
        """What is timed there has no TF32; the engines that are built have."""
        pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
        result = run(*GIVEN, "--engines", "-o", "r.json", *option)
        assert result.exit_code == 0, result.stderr
        assert f"in {told}, built and not run" in said(result.stdout)
        report = json.loads((folder / "r.json").read_text())
        assert report["tf32"] is None
        assert {engine["tf32"] for engine in report["engines"]} == {tf32}


@pytest.mark.parametrize("option", ["--tf32", "--no-tf32"])
@pytest.mark.parametrize("command", [GIVEN, ("profile", "model.onnx", "--dim", "batch=2")])
def test_what_computes_on_the_cpu_has_none(run: Run, command: tuple[str, ...], option: str) -> None:
    result = run(*command, "--backend", "ort-cpu", option)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: ort-cpu takes no {option}, ort-cuda, torch, ")
    for device in ((), ("--device", "cpu")):
        result = run(*command, "--backend", "torch", option, *device)
        assert (result.exit_code, result.stdout) == (1, "")
        told = (
            f"error: {option} is of NVIDIA's GPUs, and torch was to run on cpu: give --device cuda"
        )
        assert result.stderr.startswith(told)


def test_plans_are_what_they_were_built_to_be(run: Run, folder: Path, calls: Path) -> None:
    save_model(load_model(folder / "model.onnx"), folder / "ln.onnx")
    for kind in ("model", "ln"):
        plan_of(folder / f"{kind}.plan", load_model(folder / f"{kind}.onnx"), tf32=False)
    plans = ("compare", "--unfolded", "model.plan", "--ln", "ln.plan", "--backend", "trtexec")
    result = run(*plans, *ONCE)
    assert result.exit_code == 0, result.stderr
    assert ", fp32 without TF32; x [2, 3, 6]" in said(result.stdout)
    assert run(*plans, *ONCE, "--no-tf32").exit_code == 0
    refused = run(*plans, *ONCE, "--tf32")
    assert refused.exit_code == 1
    assert "ln.plan was built with --no-tf32, not --tf32: a plan is what" in refused.stderr
    profiled = run("profile", "model.plan", "--tf32")
    assert profiled.exit_code == 1
    assert "model.plan was built with --no-tf32, not --tf32: a plan is what" in profiled.stderr


def test_an_opset_that_bf16_lifts_is_said_and_kept(run: Run, folder: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    save_model(build(*CONV, w=(1, 1, 3, 3)), folder / "conv.onnx")
    result = run("build", "conv.onnx", "-o", "m.plan", "--precision", "bf16")
    assert result.exit_code == 0, result.stderr
    assert f"{LIFTED}." in said(result.stdout)
    manifest = json.loads((folder / "m.plan.json").read_text())
    assert manifest["lifted_opset"] == {"precision": "bf16", "before": 20, "after": 22}
    result = run("build", "conv.onnx", "-o", "half.plan", "--precision", "fp16")
    assert "lifts" not in result.stdout
    assert json.loads((folder / "half.plan.json").read_text())["lifted_opset"] is None


def test_an_opset_that_bf16_lifts_is_said_by_a_comparison(run: Run, folder: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    for kind in ("unfolded", "folded"):
        save_model(build(*CONV, w=(1, 1, 3, 3)), folder / f"{kind}.onnx")
    given = ("compare", "--unfolded", "unfolded.onnx", "--folded", "folded.onnx", *ONCE[:4])
    result = run(*given, "--engines", "--precision", "bf16", "-o", "r.json")
    assert result.exit_code == 0, result.stderr
    assert f"Warning of the engine of UN folded: {LIFTED}" in said(result.stdout)
    engines = json.loads((folder / "r.json").read_text())["engines"]
    assert [LIFTED in engine["warnings"] for engine in engines] == [True, True]


@pytest.mark.parametrize(
    ("tf32", "told"),
    [
        (None, "ort-cpu, 1 runs"),
        (True, "ort-cpu, TF32 allowed, 1"),
        (False, "ort-cpu without TF32, 1"),
    ],
)
def test_a_profile_says_which_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str], tf32: bool | None, told: str
) -> None:
    report = profile(folder / "model.onnx", backend="ort-cpu", dims={"batch": 2}, runs=1)
    show.profile(replace(report, tf32=tf32), None)
    assert capsys.readouterr().out.startswith(told)


def test_an_environment_that_forbids_it_is_not_said_to_allow_it(
    run: Run, folder: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVIDIA's libraries take this variable before all that they are told."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    plan = ("build", "model.onnx", "-o", "m.plan", "--shapes", "x:8x3x6")
    plan_of(folder / "given.plan", load_model(folder / "model.onnx"))
    for command in (
        plan,
        (*GIVEN, "--backend", "trtexec"),
        (*GIVEN, "--engines"),
        ("profile", "model.onnx", "--backend", "torch", "--device", "cuda"),
        ("profile", "given.plan"),
    ):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "NVIDIA_TF32_OVERRIDE=0 forbids TF32 to all of NVIDIA's libraries" in result.stderr
    assert not calls.exists()
    assert run(*plan, "--no-tf32").exit_code == 0
    assert run(*GIVEN, "--backend", "trtexec", "--no-tf32").exit_code == 0
    assert run(*GIVEN).exit_code == 0  # on the CPU
