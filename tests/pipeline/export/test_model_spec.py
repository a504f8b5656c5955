"""Model specs: what is found, which norms it gets, which checkpoints it takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from un_deploy import version  # noqa: E402
from un_deploy.errors import InputError, MissingPackageError, UntrainedError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.pipeline.export.model_spec import load_module, recipes_dir  # noqa: E402

pytestmark = pytest.mark.torch

NET = """
from torch import nn
from un_deploy.nn import UnifiedNorm

def takes(norm_layer=nn.LayerNorm): return nn.Sequential(nn.Linear(4, 4), norm_layer(4))
def fixed(): return nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
def own(): return nn.Sequential(UnifiedNorm(4))
def two_axes(): return nn.Sequential(nn.LayerNorm(4), nn.LayerNorm((3, 4)))
def only_two_axes(): return nn.Sequential(nn.LayerNorm((3, 4)))
def with_eps(norm_layer=nn.LayerNorm): return nn.Sequential(norm_layer(4, eps=1e-6))
def bare(): return nn.Sequential(nn.Linear(4, 4))
def number(): return 3
def greedy(dim): return nn.Linear(dim, dim)
def broken(): raise RuntimeError("no such layer")
built = fixed()
size = 4
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with net.py."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


@pytest.mark.parametrize("factory", ["takes", "fixed"])
@pytest.mark.parametrize(
    ("norm", "kind"),
    [(None, nn.LayerNorm), ("ln", nn.LayerNorm), ("un", UnifiedNorm), ("none", nn.Identity)],
)
def test_norm(factory: str, norm: str | None, kind: type) -> None:
    module = load_module(f"net.py:{factory}", norm=norm, untrained=True)
    assert type(module[1]) is kind
    assert not module.training


@pytest.mark.parametrize("factory", ["takes", "fixed"])
@pytest.mark.parametrize("norm", ["rms", "bn", "dyt", "derf"])
def test_a_baseline_is_that_of_the_table(factory: str, norm: str) -> None:
    module = load_module(f"net.py:{factory}", norm=norm)
    kinds = {"rms": "RMSNorm", "bn": "TokenBatchNorm", "dyt": "DyT", "derf": "Derf"}
    assert type(module[1]).__name__ == kinds[norm]


def test_a_norm_that_a_network_cannot_take() -> None:
    said = "cannot have dyt: the norm 0 stays: LayerNorm normalises over 2 axes"
    with pytest.raises(InputError, match=said):
        load_module("net.py:only_two_axes", norm="dyt")
    with pytest.raises(InputError, match=r"with_eps cannot be built: .*'eps'"):
        load_module("net.py:with_eps", norm="derf")


def test_same_spec_same_weights() -> None:
    state = torch.random.get_rng_state()
    first, second = (load_module("net.py:fixed")[0].weight for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_module_object_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = ModuleType("un_deploy_test_shared")
    shared.net = nn.Sequential(nn.LayerNorm(4))
    monkeypatch.setitem(sys.modules, shared.__name__, shared)
    module = load_module("un_deploy_test_shared:net", norm="none")
    assert isinstance(module[0], nn.Identity)
    assert isinstance(shared.net[0], nn.LayerNorm)


def test_class_is_a_factory() -> None:
    assert isinstance(load_module("torch.nn:Identity"), nn.Identity)


def test_factory_with_its_own_unified_norms() -> None:
    assert isinstance(load_module("net.py:own", norm="un", untrained=True)[0], UnifiedNorm)
    for norm in ("ln", "none"):
        with pytest.raises(InputError, match=r"^net\.py:own builds its Unified Normalizations"):
            load_module("net.py:own", norm=norm)


def test_norm_that_stays_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="the norm 1 stays: LayerNorm normalises over 2 axes"):
        module = load_module("net.py:two_axes", norm="none")
    assert [type(part) for part in module] == [nn.Identity, nn.LayerNorm]


def test_recipe_is_found_anywhere(folder: Path) -> None:
    module = load_module("models/vit.py:vit_micro", norm="none")
    assert type(module).__name__ == "VisionTransformer"
    (folder / "models").mkdir()
    (folder / "models" / "vit.py").write_text("from torch.nn import Identity as vit_micro\n")
    assert isinstance(load_module("models/vit.py:vit_micro"), nn.Identity)


def test_recipes_in_a_wheel_and_in_a_checkout(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, wheel = folder / "models", folder / "un_deploy" / "models"
    monkeypatch.setattr(version, "__file__", str(folder / "un_deploy" / "version.py"))
    with pytest.raises(InputError, match=r"the recipes .* are missing from this installation"):
        recipes_dir()
    for where in (checkout, wheel):
        where.mkdir(parents=True)
        (where / "vit.py").touch()
        assert recipes_dir() == where


def test_checkpoint(folder: Path) -> None:
    trained = nn.Sequential(nn.Linear(4, 4), UnifiedNorm(4))
    trained(torch.randn(2, 3, 4))
    torch.save(trained.state_dict(), folder / "un.pt")
    module = load_module("net.py:takes", norm="un", checkpoint=folder / "un.pt")
    assert torch.equal(module[0].weight, trained[0].weight)
    assert torch.equal(module[1].running_var, trained[1].running_var)
    with pytest.raises(InputError, match=r"un\.pt does not fit the model"):
        load_module("net.py:takes", norm="ln", checkpoint=folder / "un.pt")


def test_untrained_unified_norms_are_refused(folder: Path) -> None:
    with pytest.raises(UntrainedError, match="untrained=True"):
        load_module("net.py:takes", norm="un")
    layer_norms = load_module("net.py:takes").state_dict()
    torch.save(layer_norms, folder / "ln.pt")
    with pytest.raises(InputError, match="LayerNorm model's checkpoint"):
        load_module("net.py:takes", norm="un", checkpoint=folder / "ln.pt")
    module = load_module("net.py:takes", norm="un", checkpoint=folder / "ln.pt", untrained=True)
    assert torch.equal(module[0].weight, layer_norms["0.weight"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "net.txt",
            "'net.txt' is no model and no folder of one: give FILE.py:factory, package.mod",
        ),
        ("net.onnx", "net.onnx is an ONNX file, and this takes a PyTorch model: give FILE.py:"),
        ("models/absent.py:vit", f"{recipes_dir() / 'absent.py'}: cannot be read"),
        ("net.py:number", "net.py:number gives int, not a torch.nn.Module"),
        ("net.py:size", "net.py:size is int, not a factory of modules"),
        ("net.py:broken", "net.py:broken cannot be built: RuntimeError: no such layer"),
        ("net.py:greedy", "net.py:greedy cannot be built: it requires dim, and a factory is"),
        ("torch.nn:Linear", "torch.nn:Linear cannot be built: it requires in_features, out_feat"),
        ("net.py:bare", "net.py:bare has no LayerNorm to swap"),
    ],
)
def test_spec_that_is_refused(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        load_module(spec, norm="un")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "config.json",
            '{"_class_name": "DiTTransformer2DModel"}',
            "dit holds DiTTransformer2DModel, a network of diffusers: give it as FILE.py:factory, "
            "a function that returns DiTTransformer2DModel.from_pretrained('dit'), with inputs",
        ),
        ("model_index.json", "{}", "dit is a pipeline of diffusers, of several networks: give one"),
    ],
)
def test_folder_of_diffusers(folder: Path, file: str, text: str, message: str) -> None:
    (folder / "dit").mkdir()
    (folder / "dit" / file).write_text(text)
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        load_module("dit")


def test_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Image(nn.Sequential):
        default_cfg: ClassVar = {"input_size": (3, 8, 8)}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

    names = []

    def create_model(name: str, **arguments: Any) -> nn.Module:
        names.append((name, arguments))
        return Image(nn.LayerNorm(8))

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    module = load_module("timm:some_vit", norm="none")
    assert names.pop() == ("some_vit", {})
    assert isinstance(module[0], nn.Identity)
    assert {k: v.shape for k, v in module.example_inputs(5).items()} == {"x": (5, 3, 8, 8)}

    spec = "timm:some_vit,num_classes=10,global_pool=avg,img_size=(16, 24),in_chans=1,drop=-0.5"
    module = load_module(spec, norm="none")
    assert names.pop() == (
        "some_vit",
        {
            "num_classes": 10,
            "global_pool": "avg",
            "img_size": (16, 24),
            "in_chans": 1,
            "drop": -0.5,
        },
    )
    assert {k: v.shape for k, v in module.example_inputs().items()} == {"x": (2, 1, 16, 24)}


@pytest.mark.parametrize("written", ["10", "num_classes=", "a=b.c", "a=f(1)", "**x", "a=1)+f(b=2"])
def test_timm_arguments_that_are_refused(written: str) -> None:
    with pytest.raises(InputError, match=r"^timm:some_vit,.*; write timm:NAME,num_classes=10,img"):
        load_module(f"timm:some_vit,{written}")


def test_timm_that_does_not_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where torchvision is built for CUDA and torch is not: `why_not` tells both versions."""
    (folder / "timm.py").write_text("raise RuntimeError('operator torchvision::nms is missing')")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    home = "un_deploy.pipeline.export.timm_model.why_not"
    for problem, told in {
        "": "RuntimeError: operator torchvision::nms is missing",
        "torchvision 0.28.0 does not load": "torchvision 0.28.0 does not load",
    }.items():
        monkeypatch.setattr(home, lambda problem=problem: problem)
        with pytest.raises(InputError, match=f"^timm cannot be imported: {told}$"):
            load_module("timm:some_vit")


def test_timm_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[timm\]"$'):
        load_module("timm:some_vit")


def test_torch_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[torch\]"'):
        load_module("net.py:fixed")
