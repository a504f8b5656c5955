"""un-deploy compare, by either of its names: what it prints, writes, refuses and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from un_deploy.cli import compare
from un_deploy.runtime.backends import BACKENDS

pytest.importorskip("onnxruntime")

QUICK = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1", "--threads", "1")


@pytest.fixture(autouse=True)
def stripped(folder: Path, run: Run) -> None:
    """Stands for LN: any other graph of the same signature."""
    arguments = ("strip", "model.onnx", "--node", "Mul_0", "--node", "Add_1", "-o", "ln.onnx")
    assert run(*arguments).exit_code == 0


@pytest.mark.parametrize("command", ["compare", "trtexec-compare"])
def test_prints_times_ratios_and_the_control(run: Run, command: str) -> None:
    result = run(command, "--unfolded", "model.onnx", *QUICK)
    assert result.exit_code == 0
    for text in ("UN unfolded", "UN folded", "no norm", "A/A control", "derived:", "98%"):
        assert text in result.stdout
    assert "ln: not given" in result.stdout


@pytest.mark.parametrize(("least", "code"), [("1e-30", 0), ("1e30", 3)])
def test_min_speedup(run: Run, least: str, code: int) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--min-speedup", least)
    result = run("compare", *given, *QUICK)
    assert result.exit_code == code
    assert "UN folded" in result.stdout  # the report comes in either case
    assert ("1e+30x is not reached" in result.stderr) == (code == 3)


def test_min_speedup_without_ln_is_refused(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--min-speedup", "1", *QUICK)
    assert result.exit_code == 1
    assert "LN over UN folded was not measured" in result.stderr


def test_the_report_goes_to_a_file(run: Run, folder: Path) -> None:
    arguments = ("compare", "--unfolded", "model.onnx", *QUICK, "-o", "report.json")
    assert run(*arguments).exit_code == 0
    assert json.loads((folder / "report.json").read_text())["backend"] == "ort-cpu"
    again = run(*arguments)
    assert again.exit_code == 1 and "--force" in again.stderr
    assert run(*arguments, "--force").exit_code == 0


def test_json_alone_on_standard_output(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--dim", "batch=3", "--json", *QUICK)
    assert json.loads(result.stdout)["inputs"] == {"x": [3, 3, 6]}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give MODEL, or some of"),
        (("spec.py:f", "--ln", "ln.onnx"), 2, "give MODEL, or some of"),
        (("--unfolded", "model.onnx", "--dim", "batch"), 2, "'batch' is not NAME=SIZE"),
        (("spec.py:f", "--norms", "ln,rms"), 2, "'ln,rms' is no list of ln, un, none"),
        (("--unfolded", "absent.onnx"), 1, "absent.onnx"),
        (("--unfolded", "model.onnx", "--dim", "tokens=3"), 1, "tokens"),
        (("--unfolded", "model.onnx", "--backend", "ort-cuda"), 1, "CUDAExecutionProvider"),
    ],
)
def test_bad_input(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = run("compare", *arguments, *QUICK)
    assert result.exit_code == code
    assert message in result.stderr and "Traceback" not in result.stderr


def test_every_backend_can_be_named() -> None:
    """The command lists them itself: to import the runtimes would slow down the help."""
    assert ("auto", *BACKENDS) == compare.BACKENDS
