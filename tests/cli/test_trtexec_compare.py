"""un-deploy trtexec-compare: what runs the engines, and what it says where nothing can."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import ONCE
from un_deploy.engines import flavor
from un_deploy.errors import InputError
from un_deploy.gpu import Driver
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.tensorrt import machine
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime
from un_deploy.runtime.trtexec import find

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process")

GIVEN = ("--unfolded", "model.onnx", "--dim", "batch=4")


@pytest.fixture
def nothing(monkeypatch: pytest.MonkeyPatch, no_gpu: None) -> None:
    """A machine without trtexec and without a GPU."""
    monkeypatch.delenv("TRTEXEC", raising=False)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(find, "PLACES", ())


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT is installed, and its driver does not answer."""
    monkeypatch.setattr(machine, "library", lambda flavor: None)
    silent = Driver(problems=("the driver does not answer",))
    monkeypatch.setattr(machine, "ask_driver", lambda: silent)


@pytest.fixture
def on_path(trtexec: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The double, found by its name alone."""
    monkeypatch.delenv("TRTEXEC")
    monkeypatch.setenv("PATH", f"{trtexec.parent}{os.pathsep}{os.environ['PATH']}")
    return trtexec


def test_trtexec_runs_where_there_is_one(run: Run, folder: Path, on_path: Path) -> None:
    result = run("trtexec-compare", *GIVEN, "--precision", "fp16", "-o", "r.json", *ONCE)
    assert result.exit_code == 0, result.stderr
    first = " ".join(result.stdout.split())
    assert " trtexec 10.16.2 (" in first
    assert f"{on_path})" in first.replace(" ", "") and ", fp16; x [4, 3, 6]" in first
    report = json.loads((folder / "r.json").read_text())
    assert (report["backend"], report["precision"]) == ("trtexec", "fp16")
    assert report["runtime"] == f"trtexec 10.16.2 ({on_path})"


def test_a_gate_names_backend_and_precision(run: Run, on_path: Path) -> None:
    gate = ("--max-error", "1e-7", "--precision", "fp16")
    result = run("trtexec-compare", *GIVEN, *gate, *ONCE)
    assert result.exit_code == 3
    assert result.stderr.startswith("error: trtexec in fp16: UN ")


def test_which_says_what_would_run(run: Run, on_path: Path) -> None:
    result = run("trtexec-compare", "--which")
    assert (result.exit_code, result.stdout) == (0, f"trtexec 10.16.2 ({on_path})\n")


def test_which_of_one_that_is_named(run: Run, on_path: Path, no_gpu: None) -> None:
    result = run("trtexec-compare", "--which", "--backend", "trtexec")
    assert (result.exit_code, result.stdout) == (0, f"trtexec 10.16.2 ({on_path})\n")
    result = run("trtexec-compare", "--which", "--backend", "tensorrt")
    assert result.exit_code == 1
    assert "tensorrt: TensorRT runs engines on an NVIDIA GPU" in result.stderr


def test_which_measures_nothing(run: Run, on_path: Path) -> None:
    result = run("trtexec-compare", "--which", *GIVEN)
    assert result.exit_code == 2
    assert "--which measures nothing: leave out --unfolded" in result.stderr


def test_python_runs_engines_where_there_is_no_trtexec(
    run: Run, nothing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def check(name: str) -> None:
        asked.append(name)
        if name == "tensorrt":
            raise InputError("not here")

    monkeypatch.setattr(machine, "check_machine", check)
    monkeypatch.setattr(flavor, "library", lambda flavor: SimpleNamespace(__version__="1.7.1"))
    result = run("trtexec-compare", "--which")
    assert (result.exit_code, result.stdout) == (0, "TensorRT-RTX 1.7.1 through Python\n")
    assert asked == ["tensorrt", "tensorrt-rtx"]
    first, second = result.stderr.splitlines()
    assert first.startswith("Note: engines do not run in trtexec: there is no trtexec: not named")
    assert second == "Note: engines do not run in tensorrt: not here."


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("TRTEXEC_DOUBLE_VERSION=120000", "trtexec: trtexec 12 is not known"),
        ("exit 3 #", "--help says no version of TensorRT"),
    ],
)
def test_a_trtexec_that_is_passed_over_is_told(
    run: Run,
    folder: Path,
    on_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    said: str,
) -> None:
    """It is there, and its version is none that is known: in terminal, JSON and page."""
    on_path.write_text(on_path.read_text().replace("exec ", f"{script} exec "))
    refused = run("trtexec-compare", *GIVEN, "--backend", "trtexec", *ONCE)
    assert refused.exit_code == 1
    assert said.removeprefix("trtexec: ") in refused.stderr
    monkeypatch.setattr(machine, "check_machine", lambda flavor: None)
    monkeypatch.setattr(flavor, "library", lambda flavor: SimpleNamespace(__version__="10.16"))
    # No engine runs here: what is told is told of what takes its place.
    monkeypatch.setattr(EngineRuntime, "load", lambda _, model: OnnxRuntime().load(model))
    result = run("trtexec-compare", *GIVEN, "-o", "r.json", "--html", "page.html", *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    where = "TensorRT 10.16 through Python on a GPU of which no driver tells"
    assert f"{where}, fp32, TF32 allowed;" in text
    assert "Note: engines do not run in trtexec: " in text and said in text
    report = json.loads((folder / "r.json").read_text())
    assert any(said in note for note in report["notes"])
    assert report["device"] is None
    assert said in (folder / "page.html").read_text()


@pytest.mark.parametrize("arguments", [("--which",), (*GIVEN, *ONCE)])
def test_where_nothing_can_it_says_what_is_missing(
    run: Run, nothing: None, arguments: tuple[str, ...]
) -> None:
    result = run("trtexec-compare", *arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and result.stdout == ""
    for said in (
        "trtexec: there is no trtexec",
        "tensorrt: TensorRT runs engines on an NVIDIA GPU: the driver does not answer",
        "tensorrt-rtx: TensorRT-RTX runs engines on an NVIDIA GPU",
        "un-deploy compare needs none",
    ):
        assert said in result.stderr


def test_what_builds_no_engine_is_no_backend_of_it(run: Run) -> None:
    result = run("trtexec-compare", *GIVEN, "--backend", "ort-cpu", *ONCE)
    assert result.exit_code == 2
    assert "'ort-cpu' is not one of 'auto', 'trtexec', 'tensorrt'" in result.stderr
