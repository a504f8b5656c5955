"""The main road: a PyTorch network, folded and proven, as an ONNX file."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import un_deploy  # noqa: E402
from models.vit import vit_micro  # noqa: E402
from tests.support.networks.trained_like import variant  # noqa: E402
from un_deploy.errors import InputError, UntrainedError, VerificationError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.pipeline.export import export as module  # noqa: E402
from un_deploy.pipeline.export.export import export  # noqa: E402

pytestmark = pytest.mark.torch

X = np.ones((2, 4), np.float32)

WITHOUT_EXAMPLES = """
from torch import nn
class Net(nn.Sequential):
    def forward(self, x): return super().forward(x)
def net(norm_layer=nn.LayerNorm): return Net(norm_layer(4), nn.Linear(4, 4))
"""


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """Two blocks, trained-like: five norms."""
    return variant(partial(vit_micro, depth=2), "un", seed=5)


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The spec of a network that brings no inputs of its own."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(WITHOUT_EXAMPLES)
    return "net.py:net"


def norm_operators(path: Path) -> list[str]:
    """Operators of a Layer or Unified Normalization by the module names in their metadata."""
    nodes = onnx.load(path).graph.node
    scopes = [{p.key: p.value for p in n.metadata_props} for n in nodes]
    names = (s.get("pkg.torch.onnx.class_hierarchy", "") for s in scopes)
    return [name for name in names if "Norm" in name]


def test_public_name() -> None:
    assert un_deploy.export is export


def test_every_norm_is_gone_from_the_file_and_none_from_the_module(
    vit: nn.Module, tmp_path: Path
) -> None:
    before = {key: value.clone() for key, value in vit.state_dict().items()}
    report = export(vit, tmp_path / "vit.onnx")
    after = vit.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert len(report.fold.folded) == 5 and report.fold.stayed == ()
    assert report.verification.verdict == "proven" and report.verification.outputs == ()
    assert 0 < report.difference < 2e-6
    assert report.operators == report.fold.operators_after
    assert norm_operators(tmp_path / "vit.onnx") == []
    saved = onnx.load(tmp_path / "vit.onnx")
    assert saved.opset_import[0].version == report.opset == 20
    assert saved.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    data = json.loads(report.to_json())
    assert data["version"] == 1 and data["model"] == "VisionTransformer"
    assert set(data["modules"].values()) == {
        *(f"blocks.{i}.{name}" for i in (0, 1) for name in ("attn.qkv", "mlp.fc1")),
        "head",
    }


def test_without_the_fold(vit: nn.Module, tmp_path: Path) -> None:
    report = export(vit, tmp_path / "vit.onnx", fold=False, dynamic=False)
    assert report.fold is None and report.verification is None and report.modules == {}
    assert len(norm_operators(tmp_path / "vit.onnx")) == 10  # Mul and Add, five times
    shape = onnx.load(tmp_path / "vit.onnx").graph.input[0].type.tensor_type.shape
    assert shape.dim[0].dim_value == 2


def test_torchscript_and_another_opset(vit: nn.Module, tmp_path: Path) -> None:
    report = export(vit, tmp_path / "vit.onnx", exporter="torchscript", opset=17, verify=False)
    assert len(report.fold.folded) == 5 and report.verification is None
    assert onnx.load(tmp_path / "vit.onnx").opset_import[0].version == 17


def test_keep(vit: nn.Module, tmp_path: Path) -> None:
    report = export(vit, tmp_path / "vit.onnx", keep=["blocks.1.norm2"])
    assert [site.label for site in report.fold.stayed] == ["blocks.1.norm2"]
    assert len(norm_operators(tmp_path / "vit.onnx")) == 2


def test_a_spec_with_norm_checkpoint_and_inputs(net: str) -> None:
    trained = nn.Sequential(UnifiedNorm(4), nn.Linear(4, 4))
    trained(torch.randn(2, 3, 4))
    torch.save(trained.state_dict(), "un.pt")
    x = np.random.default_rng(0).standard_normal((2, 3, 4), np.float32)
    np.savez("data.npz", x=x)
    report = export(net, "a.onnx", norm="un", checkpoint="un.pt", inputs="data.npz")
    assert report.model == net and len(report.fold.folded) == 1
    again = export(net, "b.onnx", norm="un", checkpoint="un.pt", inputs={"x": x})
    assert again.fold == report.fold
    assert Path("a.onnx").read_bytes() == Path("b.onnx").read_bytes()


def test_every_item_of_a_loader_is_proven_on(net: str) -> None:
    Path("loader.py").write_text(
        "import torch\ndef data():\n    for size in (1, 2): yield {'x': torch.ones(2, size, 4)}\n"
    )
    report = export(net, "a.onnx", norm="none", inputs="loader.py:data", dynamic=False, fold=False)
    assert report.fold is None
    with pytest.raises(InputError, match=r"item 1: input x has shape \(2, 2, 4\), axis 1"):
        export(net, "b.onnx", norm="none", inputs="loader.py:data", dynamic=False)
    assert not Path("b.onnx").exists()


def test_inputs_are_needed(net: str) -> None:
    with pytest.raises(InputError, match=r"inputs of forward\(x\) with inputs='data\.npz' or"):
        export(net, "a.onnx")


def test_untrained_norms(net: str) -> None:
    inputs = {"x": np.ones((2, 4), np.float32)}
    with pytest.raises(UntrainedError, match="untrained=True"):
        export(nn.Sequential(UnifiedNorm(4)), "a.onnx", inputs=inputs)
    report = export(net, "a.onnx", norm="un", untrained=True, inputs=inputs)
    assert len(report.fold.folded) == 1
    (note,) = report.notes
    assert note.endswith("were never updated, so it gives times, not answers")
    assert export(net, "b.onnx", norm="ln", untrained=True, inputs=inputs).notes == ()


def test_norm_is_for_specs(vit: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are for a model spec"):
        export(vit, tmp_path / "vit.onnx", norm="ln")


@pytest.mark.parametrize("step", ["check_export", "proven"])
def test_nothing_is_written_unless_all_passed(
    step: str, net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise VerificationError("not equal")

    monkeypatch.setattr(module, step, fail)
    with pytest.raises(VerificationError):
        export(net, "a.onnx", norm="ln", inputs={"x": np.ones((2, 4), np.float32)})
    assert [path.name for path in Path().iterdir()] == ["net.py"]


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        (
            "past_key_values",
            ((X, X),),
            "is a tuple: leave it out: only part exports a cache, as tensors",
        ),
        ("cache", type("StaticCache", (), {})(), "is a StaticCache: leave it out"),
        ("mask", object(), "is an object: give an array"),
    ],
)
def test_inputs_that_are_no_arrays(tmp_path: Path, name: str, value: object, cure: str) -> None:
    with pytest.raises(InputError, match=f"^input {name} {cure}"):
        export(nn.Linear(4, 4), tmp_path / "net.onnx", inputs={"input": X, name: value})
