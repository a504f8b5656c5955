"""un-deploy export, as it is used: a recipe that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.cli.conftest import Run

torch = pytest.importorskip("torch")

from un_deploy.pipeline.export.model_spec import load_module  # noqa: E402

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
NEVER = "the statistics of 1 norm (2) were never updated, so it gives times, not answers"


@pytest.fixture(autouse=True)
def net(folder: Path) -> None:
    (folder / "net.py").write_text(NET)


def test_the_norm_is_gone(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx")
    assert result.exit_code == 0
    assert result.stderr == "building\n"
    assert result.stdout.startswith("Exported by dynamo with opset 20; differs from PyTorch by ")
    assert "1 of 1 norms folded" in result.stdout
    words = " ".join(result.stdout.split())
    assert words.endswith(f" proven Wrote net.onnx net.onnx: {NEVER}.")
    operators = [node.op_type for node in onnx.load("net.onnx").graph.node]
    assert operators == ["MatMul", "Add", "Gelu", "MatMul", "Add"]


def test_a_layer_norm_checkpoint_in_un_is_said_to_give_no_answers(run: Run) -> None:
    """The file is proven equal to PyTorch, and neither answers as the trained network did."""
    torch.save(load_module("net.py:net").state_dict(), "ln.pt")
    result = run(*UN, "--checkpoint", "ln.pt", "-o", "net.onnx")
    assert result.exit_code == 0
    assert " ".join(result.stdout.split()).endswith(f"net.onnx: {NEVER}.")


def test_trained_statistics_need_no_caution(run: Run) -> None:
    module = load_module("net.py:net", norm="un", untrained=True).train()
    module(torch.randn(2, 5, 4))
    torch.save(module.state_dict(), "un.pt")
    result = run(*UN, "--checkpoint", "un.pt", "-o", "net.onnx")
    assert result.stdout.endswith("\nproven\nWrote net.onnx\n")


def test_that_nothing_folded_is_said_last(run: Run) -> None:
    words = " ".join(run("export", "net.py:net", "-o", "ln.onnx").stdout.split())
    assert words.endswith(
        "Wrote ln.onnx Nothing folded: 1 LayerNormalization measures its input at run time. "
        "ln.onnx is the network as it was. --require-folded 1 makes this an error."
    )


def test_json(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx", "--json", "--exporter", "torchscript", "--opset", "18")
    data = json.loads(result.stdout)
    assert (data["exporter"], data["opset"], data["target"]) == ("torchscript", 18, "net.onnx")
    assert data["verification"]["passed"] is True
    assert data["notes"] == [NEVER]


def test_no_fold_and_static(run: Run) -> None:
    result = run(*UN, "-o", "net.onnx", "--no-fold", "--static")
    assert result.exit_code == 0 and "folded" not in result.stdout
    model = onnx.load("net.onnx")
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [3, 5, 4]
    assert "Mul" in [node.op_type for node in model.graph.node]


PARTS = """
def in_parts():
    whole = net(UnifiedNorm)
    whole.parts = lambda: {"step": whole[2:]}
    return whole
"""


def test_a_part(run: Run, folder: Path) -> None:
    (folder / "net.py").write_text(NET + PARTS)
    command = ("export", "net.py:in_parts", "--untrained", "-o", "part.onnx", "--part")
    result = run(*command, "first")
    assert result.exit_code == 1 and "Net has no part 'first', only step" in result.stderr
    result = run(*command, "step")
    assert result.exit_code == 0, result.output
    assert [node.op_type for node in onnx.load("part.onnx").graph.node] == ["MatMul", "Add"]


def sizes_of(path: str) -> list[int | str]:
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    return [dim.dim_param or dim.dim_value for dim in dims]


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ((), ["batch", 5, 4]),
        (("--dynamic", "x:1=tokens"), ["batch", "tokens", 4]),
        (("--dynamic", "x:1=tokens", "--dynamic", "x:0=n"), ["n", "tokens", 4]),
        (("--static", "--dynamic", "x:1=tokens"), [3, "tokens", 4]),
    ],
)
@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_open_dimensions(
    run: Run, options: tuple[str, ...], sizes: list[int | str], exporter: str
) -> None:
    result = run(*UN, "-o", "net.onnx", "--exporter", exporter, *options)
    assert result.exit_code == 0, result.stderr
    assert sizes_of("net.onnx") == sizes


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("x=tokens",), 2, "'x=tokens' is not INPUT:AXIS=NAME, as in input_ids:1=sequence"),
        (("x:1=a-b",), 2, "'x:1=a-b' is not INPUT:AXIS=NAME"),
        (("x:-1=n",), 2, "'x:-1=n' is not INPUT:AXIS=NAME"),
        (("x:1=n", "x:1=m"), 2, "axis 1 of x is given twice"),
        (("y:1=n",), 1, "dynamic axes of 'y', but the inputs are x"),
        (("x:3=n",), 1, "input x of shape (3, 5, 4) has no axis 3"),
        (("x:1=batch",), 1, "input x has batch 5, another input has 3"),
        (("x:2=n",), 1, "cannot export Net"),
    ],
)
def test_open_dimensions_that_are_refused(
    run: Run, options: tuple[str, ...], code: int, said: str
) -> None:
    given = [part for option in options for part in ("--dynamic", option)]
    result = run(*UN, "-o", "net.onnx", *given)
    assert (result.exit_code, Path("net.onnx").exists()) == (code, False)
    assert said in result.stderr


FROZEN = {
    "x if x.shape[0] == 3 else -x": {"dynamo", "torchscript"},
    "x.reshape(3, 20)": {"dynamo"},
    "x.view(int(x.numel() / 20), 5, 4)": {"torchscript"},
}
"""What a forward does behind its layers, as windows are counted in Python, and who freezes it."""


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("frozen", FROZEN)
def test_a_network_that_freezes_its_batch(run: Run, frozen: str, exporter: str) -> None:
    body = "x = super().forward(x); return " + frozen
    Path("frozen.py").write_text(
        NET.replace("return super().forward(x)", body).replace("nn.Linear(4, 2)", "nn.Linear(4, 4)")
    )
    command = ("export", "frozen.py:net", "-o", "frozen.onnx", "--exporter", exporter)
    result = run(*command)
    assert bool(result.exit_code) == (exporter in FROZEN[frozen])
    if result.exit_code:
        said = result.stderr.splitlines()[-1]
        assert said.endswith("; --static exports it with every dimension fixed")
        assert run(*command, "--static").exit_code == 0


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
    assert "1 LayerNormalization (2) stays: it measures its input at run time." in told
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
    assert result.exit_code == 1 and "--require-folded is of a fold: leave out" in result.stderr


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
    assert (
        "timm:NAME[,num_classes=10,...], whose Python runs as code, or a Hugging Face folder"
        in text
    )
    assert "loader.py:function, which runs as code" in text
