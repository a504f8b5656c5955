"""un-deploy verify: a fold, its original, and a wrong one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from tests.cli.conftest import Run


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
    assert "operators compared with the original in float64" in result.stdout
    assert result.stdout.endswith("equal\n")


def test_a_wrong_fold(run: Run) -> None:
    spoil()
    result = run("verify", "model.onnx", "folded.onnx")
    assert (result.exit_code, result.stderr) == (3, "")
    assert "operator 'Add_3' (Add) is off by" in " ".join(result.stdout.split())
    assert result.stdout.endswith("NOT EQUAL\n")


def test_json(run: Run) -> None:
    assert json.loads(run("verify", "model.onnx", "folded.onnx", "--json").stdout)["passed"] is True
    spoil()
    result = run("verify", "model.onnx", "folded.onnx", "--json")
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert (data["passed"], data["kind"], data["version"]) == (False, "fold", 1)


def test_any_other_pair_is_said_to_be_one(run: Run) -> None:
    result = run("verify", "folded.onnx", "model.onnx")
    assert result.exit_code == 0
    assert result.stdout.startswith("Not a graph and its fold (operator 'Mul_0'")


def test_own_inputs(run: Run) -> None:
    np.savez("data.npz", x=np.zeros((1, 3, 6), np.float32))
    result = run("verify", "model.onnx", "folded.onnx", "--inputs", "data.npz", "--json")
    (blind,) = json.loads(result.stdout)["blind"]
    assert blind == {"constant": "w", "rows": 6, "of": 6}


def test_without_a_runtime(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from un_deploy.runtime import backends

    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    result = run("verify", "model.onnx", "folded.onnx")
    assert result.exit_code == 0
    assert "no runtime is installed" in result.stdout
    assert "onnxruntime" not in result.stdout
