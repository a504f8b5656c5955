"""un-deploy compare with --profile and --engines: where time goes, what an engine would run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import ONCE, QUICK
from tests.support.reports import full_report
from un_deploy.cli import show_comparison

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


def test_layers_are_told_after_the_ratios(run: Run, folder: Path) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--profile", "--batches", "2,5")
    result = run("compare", *given, *QUICK, "-o", "report.json")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert text.index("A/A control") < text.index("ms in layers LN UN unfolded UN folded no norm")
    for row in (
        "matrix products, convolutions 0.",
        "all layers 0.",
        "a whole run, not profiled 0.",
    ):
        assert row in text
    assert "The layers of LN" in text
    report = json.loads((folder / "report.json").read_text())
    assert [one["kind"] for one in report["layers"]] == ["ln", "unfolded", "folded", "none"]
    assert report["sweep"][0]["layers"] == []  # of the first batch size alone


def test_a_backend_that_tells_no_layers(run: Run) -> None:
    given = ("--unfolded", "model.onnx", "--profile", "--backend", "torch-compile")
    result = run("compare", *given, *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "error: torch-compile cannot tell the times of its layers (--pro"
    )
    assert result.stdout == ""


def test_engines_are_told_and_not_run(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    given = ("--unfolded", "model.onnx", "--engines", "--precision", "fp16", "--dim", "batch=4")
    text = " ".join(run("compare", *given, *QUICK).stdout.split())
    assert "in fp16, built and not run" in text
    assert "no norm's kernels" in text
    assert "The type is shown for 1 of 1 products: the engine of UN unfolded, the engine of" in text
    assert "UN unfolded has the kernels of no norm" not in text


@pytest.mark.parametrize("same", [True, False])
def test_where_unfolded_has_no_norms_kernels_it_is_said(
    same: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    full = full_report()
    engines = tuple(replace(e, same_as_none=same or e.kind != "unfolded") for e in full.engines)
    show_comparison.comparison(replace(full, engines=engines))
    text = " ".join(capsys.readouterr().out.split())
    assert ("UN unfolded has the kernels of no norm here" in text) == same


def test_engines_without_a_gpu_are_one_clear_line(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    given = ("--unfolded", "model.onnx", "--backend", "tensorrt-rtx", "--dim", "batch=2")
    result = run("compare", *given, *ONCE)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "median ms" not in result.stdout
