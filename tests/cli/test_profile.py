"""un-deploy profile: the table, the files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from un_deploy.runtime.trtexec.profile_file import parse_profile
from un_deploy.runtime.trtexec.times_file import parse_times

FEW = ("--runs", "2", "--warm-up", "0")


@pytest.mark.parametrize("backend", ["ort-cpu", pytest.param("torch", marks=pytest.mark.torch)])
def test_the_table_names_the_nodes(run: Run, backend: str) -> None:
    result = run("profile", "model.onnx", "--backend", backend, "--dim", "batch=4", *FEW)
    assert result.exit_code == 0
    assert f"{backend}, 2 runs; x [4, 3, 6]" in result.output
    for node in ("Mul_0", "Add_1", "MatMul_2", "Add_3"):
        assert node in result.output
    assert "a run in which nobody looks" in " ".join(result.output.split())


def test_the_slowest_alone(run: Run) -> None:
    whole = run("profile", "model.onnx", "--json", *FEW)
    count = len(json.loads(whole.stdout)["layers"])
    result = run("profile", "model.onnx", "--top", "1", *FEW)
    assert f"... and {count - 1} more layers" in result.output


def test_trtexecs_files_are_written(run: Run, folder: Path) -> None:
    files = ("-o", "profile.json", "--exportTimes", "times.json")
    assert run("profile", "model.onnx", *files, *FEW).exit_code == 0
    assert parse_profile((folder / "profile.json").read_text()).iterations == 2
    assert len(parse_times((folder / "times.json").read_text()).inferences) == 2
    again = run("profile", "model.onnx", "--export-profile", "profile.json", *FEW)
    assert again.exit_code == 1
    assert again.stderr.startswith("error: profile.json exists already")
    assert run("profile", "model.onnx", *files, *FEW, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.onnx",), "none.onnx"),
        (("none.plan",), "none.plan does not exist: build it with un-deploy build"),
        (("cut.plan",), "cut.plan is no TensorRT plan"),
        (("model.onnx", "--exportLayerInfo", "l.json"), "model.onnx is no plan: only TensorRT"),
        (("model.onnx", "--dim", "batsh=2"), "batsh"),
        (("model.onnx", "--backend", "ort-cuda"), "this onnxruntime has no CUDAExecutionProvider"),
    ],
)
def test_refusals(run: Run, folder: Path, arguments: tuple[str, ...], message: str) -> None:
    (folder / "cut.plan").write_bytes(b"ftrt")
    result = run("profile", *arguments, *FEW)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert not (folder / "l.json").exists()


def test_the_help_says_what_is_untested(run: Run) -> None:
    assert "Plans are untested on hardware." in " ".join(run("profile", "--help").output.split())
