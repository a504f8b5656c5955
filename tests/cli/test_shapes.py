"""--shapes and its short form --dim, spelled alike in build, compare, profile and triton."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import QUICK
from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model

SPELLINGS = [("--shapes", "x:5x3x6"), ("--dim", "batch=5")]
PROFILE = ("profile", "model.onnx", "--runs", "1", "--warm-up", "0", "--json")


@pytest.mark.parametrize("size", SPELLINGS)
def test_a_profile(run: Run, size: tuple[str, str]) -> None:
    pytest.importorskip("onnxruntime")
    assert json.loads(run(*PROFILE, *size).stdout)["inputs"] == {"x": [5, 3, 6]}


@pytest.mark.parametrize("size", SPELLINGS)
@pytest.mark.usefixtures("in_this_process")
def test_a_comparison(run: Run, size: tuple[str, str]) -> None:
    pytest.importorskip("onnxruntime")
    result = run("compare", "--unfolded", "model.onnx", *size, *QUICK, "--json")
    assert json.loads(result.stdout)["inputs"] == {"x": [5, 3, 6]}


@pytest.mark.parametrize("size", SPELLINGS)
def test_a_build(run: Run, size: tuple[str, str]) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    result = run("build", "model.onnx", "-o", "m.plan", *size, "--json")
    assert result.exit_code == 0, result.stderr
    (profile,) = json.loads(result.stdout)["manifest"]["profiles"]
    assert {profile["x"][one] == [5, 3, 6] for one in ("min", "opt", "max")} == {True}


@pytest.mark.parametrize("size", SPELLINGS)
def test_a_served_model(run: Run, size: tuple[str, str]) -> None:
    pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")
    line = ("triton", "model.onnx", "--repository", "served", "--max-batch-size", "0")
    config = json.loads(run(*line, *size, "--json").stdout)["config"]
    assert "dims: 5" in config.partition("model_warmup")[2]


def test_the_rows_of_a_served_batch(run: Run) -> None:
    pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")
    line = ("triton", "model.onnx", "--repository", "served", "--max-batch-size", "4")
    refused = run(*line, "--shapes", "x:5x3x6")
    assert refused.exit_code == 1
    assert "--shapes has more rows than a batch holds: 4" in refused.stderr
    assert run(*line, "--shapes", "x:4x3x6").exit_code == 0


@pytest.fixture
def nameless(folder: Path) -> None:
    """nameless.onnx, whose dimensions are open and have no names."""
    model = build("float[?,3,6] x => float[?,3,4] y", "y = MatMul(x, w)", w=(6, 4))
    save_model(model, folder / "nameless.onnx")


def test_a_dimension_without_a_name(run: Run, nameless: None) -> None:
    pytest.importorskip("onnxruntime")
    line = ("profile", "nameless.onnx", *PROFILE[2:])
    for size in (("--shapes", "x:5x3x6"), ("--dim", "x:0=5")):
        result = run(*line, *size)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["inputs"] == {"x": [5, 3, 6]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--shapes z:1x2", "--shapes names z; the inputs are x"),
        ("--shapes x:5x3", "--shapes gives 2 axes to input x: float32 (batch, 3, 6)"),
        ("--shapes x:5x4x6", "size 4 to axis 1 of input x: float32 (batch, 3, 6), which is fixed"),
        ("--shapes x:5x3x6 --dim batch=6", "batch is 6 and, in the shape of x, 5"),
        ("--shapes x:5x3x6 --shapes x:5x3x6", "names x twice"),
        ("--shapes x", "'x' is not NAME:SIZES"),
    ],
)
@pytest.mark.parametrize("command", ["profile", "triton"])
def test_what_does_not_fit(command: str, words: str, said: str, run: Run) -> None:
    if command == "triton":
        pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")
    more = "--repository served --max-batch-size 0" if command == "triton" else ""
    result = run(command, "model.onnx", *more.split(), *words.split())
    assert result.exit_code == 1 and said in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--dim rows=5", "--dim names rows; the dynamic dimensions are batch"),
        ("--dim batch=5 --shapes x:5x3x6", "leave one"),
        ("--dim batch=5 --optShapes x:5x3x6", "leave one"),
    ],
)
def test_what_a_build_refuses(words: str, said: str, run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    result = run("build", "model.onnx", "-o", "m.plan", *words.split())
    assert result.exit_code == 1 and said in result.stderr


def test_a_size_that_a_build_lacks(run: Run, folder: Path, nameless: None) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    model = build("float[batch,rows,6] x => float[batch,rows,4] y", "y = MatMul(x, w)", w=(6, 4))
    save_model(model, folder / "two.onnx")
    for name, said in (("two", "--dim lacks rows"), ("nameless", "--dim names batch")):
        result = run("build", f"{name}.onnx", "-o", "m.plan", "--dim", "batch=5")
        assert result.exit_code == 1 and said in result.stderr


@pytest.mark.usefixtures("in_this_process")
def test_batches_and_the_same_in_shapes(run: Run) -> None:
    pytest.importorskip("onnxruntime")
    given = ("--shapes", "x:5x3x6", "--batches", "2,3")
    result = run("compare", "--unfolded", "model.onnx", *given, *QUICK)
    assert result.exit_code == 1 and "the size of batch is given twice" in result.stderr


@pytest.mark.parametrize("command", ["profile model.onnx", "compare --unfolded model.onnx"])
def test_inputs_have_their_own(command: str, run: Run, folder: Path) -> None:
    (folder / "data.npz").touch()
    result = run(*command.split(), "--inputs", "data.npz", "--shapes", "x:5x3x6")
    assert result.exit_code == 1 and "is of random inputs" in result.stderr
