"""Options that exclude each other: what one would make the other ignore is refused, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.graphs import NORM, build
from un_deploy.graph.model.model_file import save_model

pytest.importorskip("onnxruntime")

LN_UN = ("--unfolded", "model.onnx", "--ln", "model.onnx")
CUDA = ("--backend", "torch", "--device", "cuda:1")


@pytest.fixture(autouse=True)
def named(folder: Path) -> None:
    """What the command lines name; nothing of it is read."""
    for name in ("spec.py", "weights.pt", "data.npz"):
        (folder / name).touch()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--flavor", "tensorrt"), 1, "--flavor is of the engines of --engines"),
        (("--norms", "none"), 1, "--norms is of a model spec"),
        (("--checkpoint", "model.onnx"), 1, "--checkpoint is of a model spec"),
        (("--ln-checkpoint", "model.onnx"), 1, "--ln-checkpoint is of a model spec"),
        (("--static",), 1, "--static is of a model spec"),
        (("--dynamic", "x:1=n"), 1, "--dynamic is of a model spec"),
        (("--exporter", "torchscript"), 1, "--exporter is of a model spec"),
        (("--dim", "batch=2", "--dim", "batch=3"), 2, "--dim batch is given 2 times"),
        (("--dim", "batch=2", "--dim", "batch=2"), 2, "--dim batch is given 2 times"),
        (("--inputs", "data.npz", "--seed", "1"), 1, "--seed is of random inputs"),
        (("--inputs", "data.npz", "--dim", "batch=2"), 1, "--dim is of random inputs"),
        (("--inputs", "data.npz", "--batches", "2"), 1, "--batches is of random inputs"),
        (("--batches", "2,3,2"), 2, "'2,3,2' names a size twice"),
        ((*CUDA, "--threads", "2"), 1, "--threads is of the CPU, and torch was to run on cuda:1"),
    ],
)
def test_what_would_be_ignored_with_files(
    run: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run("compare", *LN_UN, *arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())


def test_batches_of_what_has_none(run: Run, folder: Path) -> None:
    body, weights = f"{NORM}  y = MatMul(n, w)", {"a": (6,), "b": (6,), "w": (6, 4)}
    save_model(build("float[rows,6] x => float[rows,4] y", body, **weights), folder / "n.onnx")
    result = run("compare", "--unfolded", "n.onnx", "--ln", "n.onnx", "--batches", "2")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: --batches is of a dynamic dimension batch; the inputs have rows\n"
    )


@pytest.mark.parametrize(
    ("norms", "option"),
    [("un", "--ln-checkpoint"), ("ln", "--checkpoint"), ("none", "--checkpoint")],
)
def test_a_checkpoint_of_a_norm_that_is_left_out(run: Run, norms: str, option: str) -> None:
    result = run("compare", "spec.py:f", "--norms", norms, option, "weights.pt")
    assert result.exit_code == 1
    assert f"{option} is of a network that --norms {norms} leaves out" in result.stderr


def test_keep_is_of_a_fold(run: Run) -> None:
    result = run("compare", "--ln", "model.onnx", "--keep", "Mul_0")
    assert result.exit_code == 1
    assert "--keep is of a fold" in result.stderr


@pytest.mark.parametrize("command", ["profile", "triton"])
def test_a_size_that_is_given_twice(run: Run, command: str) -> None:
    more = ("--repository", "rep") if command == "triton" else ()
    result = run(command, "model.onnx", *more, "--dim", "batch=2", "--dim", "batch=3")
    assert result.exit_code == 2
    assert "--dim batch is given 2 times" in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--inputs", "data.npz", "--seed", "1"), "--seed is of random inputs"),
        (("--inputs", "data.npz", "--shapes", "x:2x3"), "--shapes is of random inputs, and"),
        (("--top", "1", "--json"), "--top is of the table"),
        ((*CUDA, "--threads", "2"), "--threads is of the CPU, and torch was to run on cuda:1"),
    ],
)
def test_what_a_profile_would_ignore(run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = run("profile", "model.onnx", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("--ln", "--none"), "no UN is compared: give --unfolded or --folded, or leave it out"),
        (("--folded", "--none"), "no LN is compared: give --ln, or leave it out"),
    ],
)
def test_a_gate_on_what_is_not_compared(run: Run, files: tuple[str, ...], said: str) -> None:
    given = [word for option in files for word in (option, "model.onnx")]
    result = run("compare", *given, "--min-speedup", "1.1")
    assert result.exit_code == 1
    assert f"--min-speedup is of LN over UN folded, and {said}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--no-warm-up", "--dim", "batch=2"), "--dim and --shapes are of the warm-up, which is"),
        (("--no-dynamic-batching", "--max-queue-delay", "5"), "dynamic batching, which is off"),
    ],
)
def test_what_triton_would_ignore_is_said_before_the_model_is_read(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    Path("no_model.onnx").touch()
    result = run("triton", "no_model.onnx", "--repository", "rep", *arguments)
    assert result.exit_code == 1 and said in result.stderr


def test_what_a_build_would_ignore_is_said_before_the_model_is_read(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx")
    Path("no_model.onnx").touch()
    result = run("build", "no_model.onnx", "-o", "o.plan", "--keep-fp32", "n")
    assert result.exit_code == 1 and "--keep-fp32 is of a conversion" in result.stderr


def test_a_norm_that_is_named_twice(run: Run) -> None:
    result = run("compare", "spec.py:f", "--norms", "un,un")
    assert result.exit_code == 2
    assert "'un,un' is no list of ln, rms, bn, un, dyt, derf, none, each once" in result.stderr
