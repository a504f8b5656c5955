"""Operators that the TorchScript exporter does not have right: each as PyTorch computes it."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from torch import Tensor, nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.pipeline.export.check_export import check_export  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

X = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)) * 10


class Computes(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Any, x: Tensor, opset: int = 20) -> float:
    """How far the graph is from PyTorch, on these sizes and on smaller ones."""
    module, axes = Computes(function), {"x": {0: "batch", 1: "sequence"}}
    model = to_onnx(module, {"x": x}, dynamic_axes=axes, exporter="torchscript", opset=opset)
    return check_export(module, model, {"x": x})


@pytest.mark.parametrize("opset", [9, 20])
@pytest.mark.parametrize("kind", [torch.float32, torch.int64])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dim": 1},
        {"dim": -2, "n": 2},
        {"dim": 1, "prepend": X[:, :2]},
        {"dim": 1, "n": 2, "prepend": X[:, :1], "append": X[:, 3:]},
    ],
)
def test_diff(settings: dict[str, Any], kind: torch.dtype, opset: int) -> None:
    ends = ("prepend", "append")

    def diff(x: Tensor) -> Tensor:
        given = {key: x[:, :1] * 3 if key in ends else one for key, one in settings.items()}
        return torch.diff(x, **given)

    assert exported(diff, X.to(kind), opset) == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x > 0).cumsum(1),
        lambda x: (x > 0).cumsum(-1, dtype=torch.int32),
        lambda x: (x > 0).cumsum(0, dtype=torch.float32),
        lambda x: x.cumsum(2),
        lambda x: x.cumsum(1, dtype=torch.float64),
    ],
)
def test_cumsum(function: Any) -> None:
    assert exported(function, X) < 1e-6


@pytest.mark.parametrize("opset", [9, 17, 18, 20])
@pytest.mark.parametrize("settings", [{}, {"eps": 0.5}, {"weight": X[0]}])
def test_rms_norm(settings: dict[str, Any], opset: int) -> None:
    """Over both last axes where the weight has two, else over the last."""
    shape = settings["weight"].shape if "weight" in settings else (4,)
    small = X * 1e-3  # of which eps is a part that shows

    def rms_norm(x: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(x, shape, **settings)

    assert exported(rms_norm, small, opset) < 1e-6


def test_opset_without_cumsum() -> None:
    with pytest.raises(InputError, match="cumsum"):
        exported(lambda x: x.cumsum(1), X, opset=10)
