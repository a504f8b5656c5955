"""What a network computes with norms' weights, and by functions, outside its norms."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn.networks.norm_calls import find_calls  # noqa: E402

pytestmark = pytest.mark.torch

X = torch.randn(2, 3, 8)


class Uses(nn.Module):
    """Holds a norm and does something with it."""

    def __init__(self, use: Callable[[nn.LayerNorm, Tensor], Tensor]) -> None:
        super().__init__()
        self.norm, self.use = nn.LayerNorm(8), use

    def forward(self, x: Tensor) -> Tensor:
        return self.use(self.norm, x)


def uses(use: Callable[[nn.LayerNorm, Tensor], Tensor]) -> tuple[nn.Module, list[nn.Module]]:
    model = nn.Sequential(OrderedDict(block=Uses(use)))
    return model, [model.block.norm]


@pytest.mark.parametrize(
    ("function", "use"),
    [
        ("layer_norm", lambda norm, x: F.layer_norm(x, (8,), norm.weight, norm.bias)),
        ("layer_norm", lambda norm, x: torch.layer_norm(x, (8,), norm.weight)),
        ("rms_norm", lambda norm, x: F.rms_norm(x, (8,), norm.weight)),
        (
            "native_layer_norm",
            lambda norm, x: torch.native_layer_norm(x, (8,), norm.weight, norm.bias, 1e-5)[0],
        ),
        (
            "native_layer_norm",
            lambda norm, x: torch.ops.aten.native_layer_norm(x, [8], norm.weight, None, 1e-5)[0],
        ),
        ("mul", lambda norm, x: (x - x.mean(-1, keepdim=True)) * norm.weight),
        ("float", lambda norm, x: F.layer_norm(x, (8,), norm.weight.float())),
    ],
)
def test_weights_that_others_read(
    function: str, use: Callable[[nn.LayerNorm, Tensor], Tensor]
) -> None:
    model, norms = uses(use)
    calls = find_calls(model, X, norms)
    assert calls.reads == {norms[0]: f"{function} in the forward of block"}


@pytest.mark.parametrize(
    "use",
    [
        lambda norm, x: norm(x),
        lambda norm, x: norm(x).to(norm.weight.dtype),
        lambda norm, x: norm(x.to(norm.weight)).type_as(norm.bias),
        lambda norm, x: norm(x) + torch.zeros_like(norm.weight),
        lambda norm, x: x[..., : norm.weight.numel()],
    ],
)
def test_a_call_of_the_norm_or_its_type_is_no_read(
    use: Callable[[nn.LayerNorm, Tensor], Tensor],
) -> None:
    model, norms = uses(use)
    assert find_calls(model, X, norms) == ({}, {})


@pytest.mark.parametrize(
    ("function", "use"),
    [
        ("layer_norm", lambda norm, x: F.layer_norm(norm(x), (8,))),
        ("group_norm", lambda norm, x: F.group_norm(x, 3)),
        ("instance_norm", lambda norm, x: F.instance_norm(x)),
        ("batch_norm", lambda norm, x: F.batch_norm(x, torch.zeros(3), torch.ones(3))),
        ("local_response_norm", lambda norm, x: F.local_response_norm(x, 2)),
    ],
)
def test_functions_that_normalise(
    function: str, use: Callable[[nn.LayerNorm, Tensor], Tensor]
) -> None:
    model, norms = uses(use)
    calls = find_calls(model, X, norms)
    assert calls.functional == {"block": [function]}
    assert calls.reads == {}


def test_the_fused_encoder_layer_is_no_reader() -> None:
    """The run does not take it."""
    layer = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True).eval()
    norms = [layer.norm1, layer.norm2]
    assert find_calls(layer, X, norms) == ({}, {})


def test_inputs_are_given_in_any_form() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, *, b: Tensor | None = None) -> Tensor:
            return F.layer_norm(a, (8,)) if b is None else F.rms_norm(a + b, (8,))

    for inputs, function in (
        (X, "layer_norm"), ((X,), "layer_norm"), ([X], "layer_norm"), ({"a": X, "b": X}, "rms_norm")
    ):  # fmt: skip
        assert find_calls(Two(), inputs, []).functional == {"Two": [function]}


def test_the_model_stays_as_it_is() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(8, 8))
    model[1].eval()
    find_calls(model, X, [])
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert int(model[0].num_batches_tracked) == 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_inputs_that_do_not_fit_are_refused() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    with pytest.raises(InputError, match="Sequential does not run on example_inputs: RuntimeError"):
        find_calls(model, torch.randn(2, 5), [])
    assert model.training
    assert not model[0]._forward_hooks
