"""Numbers beyond their type, and the size 0: one line that names the option and the number."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model

HUGE = "99999999999999999999"
TRITON = ("triton", "model.onnx", "--repository", "rep", "--max-batch-size")
COMPARE = ("compare", "--ln", "model.onnx", "--unfolded", "model.onnx", "--backend", "ort-cpu")


@pytest.mark.parametrize(
    ("command", "option", "number"),
    [
        (("profile", "model.onnx"), "--dim", f"batch={HUGE}"),
        (("profile", "model.onnx"), "--dim", f"batch={10**15}"),
        (("profile", "model.onnx"), "--threads", "3000000000"),
        (("profile", "model.onnx"), "--seed", "-1"),
        (COMPARE, "--dim", f"batch={HUGE}"),
        (COMPARE, "--dim", f"batch={10**15}"),
        (COMPARE, "--threads", "3000000000"),
        (TRITON, "3000000000", ""),
        ((*TRITON, "8"), "--instances", "3000000000"),
        ((*TRITON, "8"), "--preferred-batch-size", "3000000000"),
        ((*TRITON, "8"), "--max-queue-delay", HUGE),
        ((*TRITON, "8"), "--version", HUGE),
        ((*TRITON, "8"), "--dim", f"batch={HUGE}"),
        ((*TRITON, "8"), "--dim", "batch=0"),
        (("build", "model.onnx", "-o", "m.plan"), "--shapes", f"x:{HUGE}x3x6"),
        (("build", "model.onnx", "-o", "m.plan"), "--optShapes", "x:3000000000x3x6"),
    ],
)
def test_a_number_beyond_its_type(
    run: Run, folder: Path, command: tuple[str, ...], option: str, number: str
) -> None:
    result = run(*command, option, *([number] if number else []))
    assert result.exit_code in (1, 2)
    told = " ".join(result.stderr.split())
    digits = (number or option).rpartition("=")[2].removeprefix("x:").removesuffix("x3x6")
    assert digits in told and (option if number else "--max-batch-size") in told
    assert [line for line in result.stderr.splitlines() if "rror:" in line] != []
    assert not (folder / "rep").exists() and not (folder / "m.plan").exists()


@pytest.mark.parametrize("command", [("profile", "past.onnx"), COMPARE])
def test_an_empty_past_runs(run: Run, folder: Path, command: tuple[str, ...]) -> None:
    body = "c = Concat<axis=1>(p, x)  n = Mul(c, a)  y = MatMul(n, k)"
    model = build("float[batch,3,8] x, float[batch,past,8] p => float[batch,N,4] y", body,
                  a=(8,), k=(8, 4))  # fmt: skip
    save_model(model, folder / "past.onnx")
    words = [word.replace("model.onnx", "past.onnx") for word in command]
    quick = ("--builds", "1", "--rounds", "2", "--sample-ms", "1") if "compare" in words else ()
    result = run(*words, "--dim", "batch=1", "--dim", "past=0", *quick)
    assert result.exit_code == 0, result.stderr
    wrong = run(*words, "--dim", "past=-1")
    assert wrong.exit_code == 2 and "'past=-1' is not NAME=SIZE" in wrong.stderr
