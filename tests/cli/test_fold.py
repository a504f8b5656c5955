"""un-deploy fold, as it is used."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.cli.conftest import Run


def test_folds_and_proves(folder: Path, run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "folded.onnx")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [n.op_type for n in onnx.load("folded.onnx").graph.node] == ["MatMul", "Add"]
    assert "1 of 1 norms folded; 4 operators before, 2 after." in result.stdout
    assert "rewritten constants compared in every entry" in " ".join(result.stdout.split())
    assert "onnxruntime" not in result.stdout  # nothing is run
    assert result.stdout.endswith("\nproven\nWrote folded.onnx\n")


def test_dry_run_writes_nothing(folder: Path, run: Run) -> None:
    result = run("fold", "model.onnx", "--dry-run")
    assert result.exit_code == 0
    assert "proven\nNothing was written (dry run).\n" in result.stdout
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_json_is_all_there_is(folder: Path, run: Run) -> None:
    Path("loader.py").write_text(
        "import numpy as np\n"
        "def data():\n"
        "    print('loading')\n"
        "    return {'x': np.ones((5, 3, 6), np.float32)}\n"
    )
    result = run("fold", "model.onnx", "-o", "b.onnx", "--inputs", "loader.py:data", "--json")
    data = json.loads(result.stdout)
    assert result.stderr == "loading\n"
    assert (data["version"], data["source"], data["target"]) == (1, "model.onnx", "b.onnx")
    (site,) = data["fold"]["sites"]
    assert (site["status"], site["into"]) == ("folded", ["MatMul_2"])
    assert data["verification"]["verdict"] == "proven"
    assert data["verification"]["outputs"][0]["runtime"] == "onnxruntime"  # the second look


def test_no_verify(run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "b.onnx", "--no-verify", "--json")
    assert json.loads(result.stdout)["verification"] is None
    assert Path("b.onnx").exists()


def test_keep(run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "b.onnx", "--keep", "Mul_0")
    assert "stays: kept, as asked" in result.stdout
    assert len(onnx.load("b.onnx").graph.node) == 4
    result = run("fold", "model.onnx", "-o", "c.onnx", "--keep", "Mul_9")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --keep 'Mul_9' names no norm of this graph")


def test_force(run: Run) -> None:
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 0
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 1
    assert run("fold", "model.onnx", "-o", "folded.onnx", "--force").exit_code == 0
    assert len(onnx.load("folded.onnx").graph.node) == 2


@pytest.mark.usefixtures("one_wrong_edit")
def test_one_wrong_edit_is_not_written(folder: Path, run: Run) -> None:
    """The gauges agree with each other, which is all that certify sees; the weights are wrong."""
    result = run("fold", "model.onnx", "-o", "folded.onnx")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: the graphs are not equal: 'Add_3' gives ")
    assert "--keep" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    assert run("fold", "model.onnx", "-o", "folded.onnx", "--no-verify").exit_code == 0
    assert run("verify", "model.onnx", "folded.onnx").exit_code == 3
