"""A working directory with small models in it, and the command line run in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.comparing import compare_here
from tests.support.graphs import NORM, build
from un_deploy.cli import COMMANDS, main
from un_deploy.graph.model.model_file import save_model

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with model.onnx (one norm before a linear layer)."""
    monkeypatch.chdir(tmp_path)
    model = build(
        "float[batch,3,6] x => float[batch,3,4] y",
        f"{NORM}  h = MatMul(n, w)  y = Add(h, c)",
        a=(6,),
        b=(6,),
        w=(6, 4),
        c=(4,),
    )
    save_model(model, tmp_path / "model.onnx")
    return tmp_path


@pytest.fixture
def run() -> Run:
    """``run("fold", "model.onnx")``: exit code, standard output and error, without the stages."""

    def call(*arguments: str) -> Result:
        quiet = ("--quiet",) if arguments[0] in COMMANDS else ()
        result = CliRunner().invoke(main, (*arguments[:1], *quiet, *arguments[1:]))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons have no process for every build."""
    compare_here(monkeypatch)


@pytest.fixture
def stripped(folder: Path, run: Run) -> None:
    """ln.onnx, which stands for LN: any other graph of the same signature."""
    arguments = ("strip", "model.onnx", "--node", "Mul_0", "--node", "Add_1", "-o", "ln.onnx")
    assert run(*arguments).exit_code == 0


@pytest.fixture
def trtexec(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double of trtexec, whose engines compute what their graph says."""
    double = Path(__file__).parents[1] / "support" / "doubles" / "trtexec_evaluating.py"
    binary = folder / "trtexec"
    binary.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{double}' \"$@\"\n")
    binary.chmod(0o755)
    monkeypatch.setenv("TRTEXEC", str(binary))
    return binary


@pytest.fixture
def one_wrong_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """MatMul's rule swaps two columns of every weight that it folds."""
    from un_deploy.graph.fold.edits import SetConstant
    from un_deploy.graph.fold.rules.matmul import MatMul

    right = MatMul.edits

    def wrong(self, unit, known, view):
        for edit in right(self, unit, known, view):
            if isinstance(edit, SetConstant) and len(edit.shape) == 2:
                compute = edit.compute
                edit = SetConstant(
                    edit.node, edit.index, lambda c=compute: c()[:, [1, 0, 2, 3]], edit.shape
                )
            yield edit

    monkeypatch.setattr(MatMul, "edits", wrong)
