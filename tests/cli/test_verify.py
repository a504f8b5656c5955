"""un-deploy verify: a fold, its original, and a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from tests.cli.conftest import Run
from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model


@pytest.fixture(autouse=True)
def folded(folder: Path, run: Run) -> None:
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 0


def spoil() -> None:
    """folded.onnx gets a weight that is 1 % off."""
    model = onnx.load("folded.onnx")
    (weight,) = (w for w in model.graph.initializer if w.name == "w")
    array = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    onnx.save(model, "folded.onnx")


def test_a_fold_is_proven(run: Run) -> None:
    result = run("verify", "model.onnx", "folded.onnx")
    assert result.exit_code == 0
    assert "2 rewritten constants compared in every entry" in " ".join(result.stdout.split())
    assert "Output 'y' in onnxruntime: off by" in result.stdout
    assert result.stdout.endswith("\nproven\n")
    assert run("verify", "model.onnx", "folded.onnx", "--require", "proven").exit_code == 0


def test_a_file_is_proven_to_be_itself(run: Run) -> None:
    result = run("verify", "model.onnx", "model.onnx")
    assert (result.exit_code, result.stdout) == (
        0,
        "The two are one and the same graph.\nproven\n",
    )


def test_a_wrong_fold(run: Run) -> None:
    spoil()
    result = run("verify", "model.onnx", "folded.onnx")
    assert (result.exit_code, result.stderr) == (3, "")
    assert "'w' of folded.onnx holds" in " ".join(result.stdout.split())
    assert result.stdout.endswith("\nnot equal\n")


def test_json(run: Run) -> None:
    assert json.loads(run("verify", "model.onnx", "folded.onnx", "--json").stdout)["passed"] is True
    spoil()
    result = run("verify", "model.onnx", "folded.onnx", "--json")
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert (data["passed"], data["verdict"], data["version"]) == (False, "not equal", 2)
    assert data["problems"][0]["place"] == "w"


def two_ways() -> None:
    """a.onnx and b.onnx: other operators, the same numbers."""
    signature = "float[B,4] x => float[B,4] y"
    save_model(build(signature, "y = Add(x, x)"), "a.onnx")
    two = np.array(2, np.float32)
    save_model(build(signature, "y = Mul(x, two)", two=two), "b.onnx")


def test_any_other_pair_is_run(run: Run) -> None:
    two_ways()
    result = run("verify", "a.onnx", "b.onnx")
    assert result.exit_code == 0
    assert " ".join(result.stdout.split()).startswith(
        "Not a fold of a.onnx: the operator 'Mul_0' of b.onnx is a Mul, a.onnx has a Add ('Add_0')."
    )
    assert result.stdout.endswith("\nequal on these inputs\n")
    result = run("verify", "a.onnx", "b.onnx", "--require", "proven")
    assert result.exit_code == 3
    assert result.stdout.endswith("\nequal on these inputs\n")


def test_own_inputs(run: Run) -> None:
    two_ways()
    np.savez("data.npz", x=np.zeros((7, 4), np.float32))
    data = json.loads(run("verify", "a.onnx", "b.onnx", "--inputs", "data.npz", "--json").stdout)
    assert (data["runs"], data["outputs"][0]["error"]) == (1, 0)


def test_without_a_runtime(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from un_deploy.runtime import backends

    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    result = run("verify", "model.onnx", "folded.onnx")
    assert result.exit_code == 0
    assert "no runtime is installed" in result.stdout
    assert result.stdout.endswith("\nproven\n")
    two_ways()
    result = run("verify", "a.onnx", "b.onnx")
    assert result.exit_code == 3
    assert 'pip install "un-deploy[cpu]"' in " ".join(result.stdout.split())
    assert result.stdout.endswith("\ncannot tell\n")
