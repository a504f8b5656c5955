"""un-deploy export, as it is used: a recipe that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.cli.conftest import Run

pytest.importorskip("torch")

pytestmark = pytest.mark.torch

NET = """
import torch
from torch import nn
from un_deploy.nn import UnifiedNorm

class Net(nn.Sequential):
    def forward(self, x): return super().forward(x)
    def example_inputs(self): return {"x": torch.ones(3, 5, 4) + torch.arange(4)}

def net(norm_layer=nn.LayerNorm):
    print("building")
    return Net(nn.Linear(4, 4), nn.GELU(), norm_layer(4), nn.Linear(4, 2))
"""
UN = ("export", "net.py:net", "--norm", "un", "--untrained")


@pytest.fixture(autouse=True)
def net(folder: Path) -> None:
    (folder / "net.py").write_text(NET)


def test_the_norm_is_gone(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx")
    assert result.exit_code == 0
    assert result.stderr == "building\n"
    assert result.stdout.startswith("Exported by dynamo with opset 20; differs from PyTorch by ")
    assert "1 of 1 norms folded" in result.stdout
    assert result.stdout.endswith("\nproven\nWrote net.onnx\n")
    operators = [node.op_type for node in onnx.load("net.onnx").graph.node]
    assert operators == ["MatMul", "Add", "Gelu", "MatMul", "Add"]


def test_json(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx", "--json", "--exporter", "torchscript", "--opset", "18")
    data = json.loads(result.stdout)
    assert (data["exporter"], data["opset"], data["target"]) == ("torchscript", 18, "net.onnx")
    assert data["verification"]["passed"] is True


def test_no_fold_and_static(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx", "--no-fold", "--static")
    assert result.exit_code == 0 and "folded" not in result.stdout
    model = onnx.load("net.onnx")
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [3, 5, 4]
    assert "Mul" in [node.op_type for node in model.graph.node]


def test_no_verify_and_keep(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx", "--no-verify", "--keep", "2", "--json")
    data = json.loads(result.stdout)
    assert data["verification"] is None
    assert [site["reason"] for site in data["fold"]["sites"]] == ["kept, as asked"]


def test_fold_norm_affine(run: Run) -> None:
    Path("scaled.py").write_text(
        NET + "\ndef scaled():\n    module = net()\n    module[2].weight.data *= 2\n"
        "    return module\n"
    )
    ln = ("export", "scaled.py:scaled", "-o", "net.onnx")
    told = " ".join(run(*ln).stdout.split())
    assert "1 LayerNormalization stays: it measures its input at run time." in told
    assert "Scale and shift of 1 of them may fold alone: --fold-norm-affine." in told
    (left,) = json.loads(run(*ln, "--force", "--json").stdout)["fold"]["measuring"]
    assert (left["kind"], left["untried_affine"]) == ("LayerNormalization", True)
    result = run(*ln, "--force", "--fold-norm-affine", "--json")
    (left,) = json.loads(result.stdout)["fold"]["measuring"]
    assert (left["kind"], left["untried_affine"]) == ("LayerNormalization", False)


def test_require_folded(run: Run) -> None:
    result = run(
        "export", "net.py:net", "--norm", "ln", "-o", "net.onnx", "--require-folded", "all"
    )
    assert result.exit_code == 3 and not Path("net.onnx").exists()
    assert "no norm may stay, but some measure their input: 1 LayerNormalization" in result.stderr
    assert run(*UN, "-o", "net.onnx", "--require-folded", "all").exit_code == 0
    result = run(*UN, "-o", "other.onnx", "--no-fold", "--require-folded", "1")
    assert result.exit_code == 1 and "are of a fold: leave out --no-fold" in result.stderr


def test_a_wrong_fold_is_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from un_deploy.graph.fold.edits import SetConstant
    from un_deploy.graph.fold.rules.matmul import MatMul

    right = MatMul.edits

    def without_the_bias(self, unit, known, view):
        edits = right(self, unit, known, view)
        return (e for e in edits if not (isinstance(e, SetConstant) and len(e.shape) == 1))

    monkeypatch.setattr(MatMul, "edits", without_the_bias)
    Path("shifted.py").write_text(
        NET + "\ndef shifted():\n    module = net(UnifiedNorm)\n"
        "    module[2].bias.data += 1\n    return module\n"
    )
    command = ("export", "shifted.py:shifted", "--untrained", "-o", "net.onnx")
    result = run(*command)
    assert result.exit_code == 3
    assert "error: the graphs are not equal: " in result.stderr
    assert not Path("net.onnx").exists()
    monkeypatch.undo()


def test_help_says_that_models_run_as_code(run: Run) -> None:
    text = " ".join(run("export", "--help").stdout.split())
    assert "timm:NAME; its Python runs as code" in text
    assert "loader.py:function, which runs as code" in text
