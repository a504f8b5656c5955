"""Swapping a model's LayerNorms: what is carried over, what is left and why."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, convert_norms  # noqa: E402

pytestmark = pytest.mark.torch


class Block(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.linear = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.linear(self.norm(x))


class ChannelFirst(nn.LayerNorm):
    """As in convolutional networks: (B, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias)
        return x.permute(0, 3, 1, 2)


class Float32Norm(nn.LayerNorm):
    """As in mixed-precision code: the same function by another forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.layer_norm(x.float(), self.normalized_shape, self.weight, self.bias, self.eps)
        return y.to(x.dtype)


class NormThenGelu(nn.LayerNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(super().forward(x))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    blocks = nn.Sequential(Block(8), Block(8), nn.LayerNorm(8))
    for parameter in blocks.parameters():
        nn.init.normal_(parameter)
    return blocks


def test_every_layer_norm_becomes_a_unified_norm() -> None:
    blocks = model()
    report = convert_norms(blocks)
    assert report.converted == ["0.norm", "1.norm", "2"]
    assert report.left == {}
    assert [type(m) for m in (blocks[0].norm, blocks[1].norm, blocks[2])] == [UnifiedNorm] * 3
    assert blocks(torch.randn(2, 5, 8)).shape == (2, 5, 8)


def test_weight_and_bias_are_kept_and_statistics_are_new() -> None:
    blocks = model()
    old = blocks[2]
    convert_norms(blocks)
    new = blocks[2]
    assert torch.equal(new.weight, old.weight)
    assert torch.equal(new.bias, old.bias)
    assert int(new.iters) == 0
    assert new.eps == 1e-5


def test_weight_and_bias_can_be_made_anew_and_eps_kept() -> None:
    blocks = model()
    convert_norms(blocks, keep_affine=False, keep_eps=True)
    assert torch.equal(blocks[0].norm.weight, torch.ones(8))
    assert torch.equal(blocks[0].norm.bias, torch.zeros(8))
    assert blocks[0].norm.eps == 1e-6


def test_none_is_the_network_without_norms() -> None:
    blocks = model()
    report = convert_norms(blocks, "none", keep_eps=True)
    assert len(report.converted) == 3
    x = torch.randn(2, 5, 8)
    plain = x + blocks[0].linear(x)
    assert torch.equal(blocks(x), plain + blocks[1].linear(plain))


def test_a_callable_makes_the_new_norm() -> None:
    blocks = model()
    convert_norms(blocks, partial(UnifiedNorm, mode="paper", window_size=2))
    assert blocks[0].norm.mode == "paper"
    assert blocks[0].norm.rule.window_size == 2


FORMS = pytest.mark.parametrize(
    ("norm", "parameters"),
    [
        (nn.LayerNorm(8), {"weight", "bias"}),
        (nn.LayerNorm(8, bias=False), {"weight"}),
        (nn.LayerNorm(8, elementwise_affine=False), set()),
        (Float32Norm(8, bias=False), {"weight"}),
        (ChannelFirst(8, elementwise_affine=False), set()),
    ],
    ids=["affine", "no bias", "no affine", "a subclass without bias", "maps without affine"],
)


@FORMS
@pytest.mark.parametrize("to", ["un", partial(UnifiedNorm, mode="paper")], ids=["un", "partial"])
def test_the_new_norm_has_what_the_layer_norm_had(
    norm: nn.LayerNorm, parameters: set[str], to: Any
) -> None:
    holder = nn.Sequential(norm)
    convert_norms(holder, to)
    assert {name for name, _ in holder[0].named_parameters()} == parameters
    x = torch.randn(2, 8, 3, 8)
    assert holder(x).shape == x.shape


@FORMS
def test_parameters_can_be_made_that_the_layer_norm_lacks(
    norm: nn.LayerNorm, parameters: set[str]
) -> None:
    holder = nn.Sequential(norm)
    convert_norms(holder, keep_affine=False)
    assert {n: p.requires_grad for n, p in holder[0].named_parameters()} == {
        "weight": True,
        "bias": True,
    }


@FORMS
def test_what_a_callable_makes_besides_is_frozen(norm: nn.LayerNorm, parameters: set[str]) -> None:
    holder = nn.Sequential(norm)
    convert_norms(holder, lambda channels, channel_first=False: nn.BatchNorm1d(channels))
    trained = {name for name, p in holder[0].named_parameters() if p.requires_grad}
    assert trained == parameters
    assert torch.equal(holder[0].weight, torch.ones(8))
    assert torch.equal(holder[0].bias, torch.zeros(8))


def test_what_is_no_layer_norm_of_one_axis_is_left_with_its_reason() -> None:
    holder = nn.ModuleDict(
        {"two_axes": nn.LayerNorm((4, 8)), "gelu": NormThenGelu(8), "float32": Float32Norm(8)}
    )
    nn.init.zeros_(holder["gelu"].weight)  # gelu(0) = 0: only other parameters tell it apart
    report = convert_norms(holder)
    assert report.converted == ["float32"]
    assert report.left == {
        "two_axes": "LayerNorm normalises over 2 axes (4, 8)",
        "gelu": "NormThenGelu does not compute a LayerNorm of the last axis or of axis 1",
    }
    assert isinstance(holder["gelu"], NormThenGelu)


def test_a_channel_first_norm_becomes_a_channel_first_norm() -> None:
    holder = nn.Sequential(ChannelFirst(8))
    assert convert_norms(holder).converted == ["0"]
    x = torch.randn(2, 8, 3, 5)
    assert holder[0].channel_first
    assert holder(x).shape == x.shape


class LayerNormOfMaps(nn.Module):
    """Channel-first, its parameters (C, 1, 1), and no nn.LayerNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(8, 1, 1)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        return (x - mean) / torch.sqrt(variance + 1e-6) * self.weight + self.bias


def test_parameters_of_another_shape_are_kept() -> None:
    holder = nn.Sequential(LayerNormOfMaps())
    weight = holder[0].weight
    assert convert_norms(holder).converted == ["0"]
    assert torch.equal(holder[0].weight, weight.flatten())


def test_a_factory_without_channel_first_leaves_such_norms() -> None:
    holder = nn.Sequential(ChannelFirst(8), nn.LayerNorm(8))
    report = convert_norms(holder, lambda channels: UnifiedNorm(channels, mode="paper"))
    assert report.converted == ["1"]
    assert "the norm to put there takes no channel_first" in report.left["0"]


def test_other_kinds_are_told_of_and_left() -> None:
    holder = nn.Sequential(nn.LayerNorm(8), nn.BatchNorm1d(8), nn.RMSNorm(8), UnifiedNorm(8))
    report = convert_norms(holder)
    assert report.converted == ["0"]
    assert report.left == {
        "1": "BatchNorm1d is a scale and a shift in evaluation, which fold as they are",
        "2": "RMSNorm computes an RMSNorm, whose weight folds with fold_norm_affine=True",
        "3": "UnifiedNorm is Unified Normalization already",
    }


def test_converting_twice_changes_nothing_more() -> None:
    blocks = model()
    convert_norms(blocks)
    norms = [module for module in blocks.modules() if isinstance(module, UnifiedNorm)]
    assert convert_norms(blocks).converted == []
    assert [module for module in blocks.modules() if isinstance(module, UnifiedNorm)] == norms


@pytest.mark.parametrize(
    ("filters", "converted"),
    [
        ({"only": "*.norm"}, ["0.norm", "1.norm"]),
        ({"only": ["0.*", "2"]}, ["0.norm", "2"]),
        ({"keep": "2"}, ["0.norm", "1.norm"]),
        ({"keep": ["0.norm", "2"]}, ["1.norm"]),
        ({"only": "?.norm", "keep": "0.*"}, ["1.norm"]),
    ],
)
def test_only_and_keep_choose_by_name(filters: dict[str, Any], converted: list[str]) -> None:
    blocks = model()
    report = convert_norms(blocks, **filters)
    assert report.converted == converted
    assert {*report.converted, *report.left} == {"0.norm", "1.norm", "2"}
    for name in report.left:
        assert type(blocks.get_submodule(name)) is nn.LayerNorm


def test_what_was_not_chosen_says_why() -> None:
    assert convert_norms(model(), only="?.norm", keep="0.*").left == {
        "0.norm": "named by keep",
        "2": "not named by only",
    }


@pytest.mark.parametrize("argument", ["only", "keep"])
def test_a_pattern_without_a_norm_is_refused_with_the_nearest(argument: str) -> None:
    blocks = model()
    with pytest.raises(
        InputError, match=rf"{argument}='0\.nrom' matches no normalization; the nearest are 0\.norm"
    ):
        convert_norms(blocks, **{argument: ["2", "0.nrom"]})
    assert type(blocks[2]) is nn.LayerNorm, "nothing is swapped then"


def test_a_pattern_for_a_model_without_norms_is_refused() -> None:
    with pytest.raises(InputError, match="the model has none"):
        convert_norms(nn.Sequential(nn.Linear(8, 8)), only="*")


class ReadsWeights(nn.Module):
    """As networks with a fused kernel do: the norm is only a holder."""

    def __init__(self) -> None:
        super().__init__()
        self.held, self.called = nn.LayerNorm(8), nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.called(F.layer_norm(x, (8,), self.held.weight, self.held.bias))


def test_a_norm_whose_weights_are_read_by_others_stays() -> None:
    holder = nn.Sequential(ReadsWeights())
    report = convert_norms(holder, example_inputs=torch.randn(2, 3, 8))
    assert report.converted == ["0.called"]
    assert report.left == {
        "0.held": "LayerNorm's weights are read by layer_norm in the forward of 0, "
        "not through the norm"
    }
    assert type(holder[0].held) is nn.LayerNorm


class CallsOne(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rms_norm(F.layer_norm(F.layer_norm(x, (8,)), (8,)), (8,))


def test_a_forward_that_calls_normalizations_itself_is_told_of() -> None:
    holder = nn.Sequential(nn.LayerNorm(8), CallsOne())
    report = convert_norms(holder, example_inputs={"input": torch.randn(2, 8)})
    assert report.converted == ["0"]
    assert report.left == {"1": "its forward calls layer_norm, rms_norm itself"}


class Standardise(nn.Module):
    """A LayerNorm whose name does not say so."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.randn(8)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (8,), self.weight, self.bias)


def test_a_layer_norm_of_another_name_is_found_by_running() -> None:
    holder = nn.Sequential(Standardise())
    assert convert_norms(holder).converted == []
    bias = holder[0].bias
    assert convert_norms(holder, example_inputs=(torch.randn(2, 8),)).converted == ["0"]
    assert torch.equal(holder[0].bias, bias)


def test_a_shared_norm_stays_shared() -> None:
    norm = nn.LayerNorm(8)
    holder = nn.Sequential(norm, nn.Linear(8, 8), norm)
    assert convert_norms(holder).converted == ["0", "2"]
    assert isinstance(holder[0], UnifiedNorm)
    assert holder[0] is holder[2]


def test_a_norm_with_hooks_stays() -> None:
    holder = nn.Sequential(nn.LayerNorm(8), nn.LayerNorm(8))
    holder[0].register_forward_hook(lambda module, args, y: y.relu())
    report = convert_norms(holder)
    assert report.converted == ["1"]
    assert "has forward hooks" in report.left["0"]


def test_shared_parameters_stay_shared() -> None:
    """And a norm that runs with a parameter of another is called as any."""
    holder = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.LayerNorm(8))
    holder[2].weight = holder[0].weight
    report = convert_norms(holder, example_inputs=torch.randn(2, 8))
    assert report.converted == ["0", "2"]
    assert holder[0].weight is holder[2].weight
    assert holder[0].bias is not holder[2].bias


def test_a_norm_without_parameters_follows_the_model_to_its_device() -> None:
    holder = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8, elementwise_affine=False)).to("meta")
    convert_norms(holder)
    assert {tensor.device.type for tensor in holder[1].state_dict().values()} == {"meta"}


def test_dtype_and_training_flag_follow_the_norm() -> None:
    holder = nn.Sequential(nn.LayerNorm(8, dtype=torch.bfloat16)).eval()
    convert_norms(holder)
    assert holder[0].weight.dtype == torch.bfloat16
    assert holder[0].running_var.dtype == torch.float32
    assert not holder[0].training


def test_refuses_an_unknown_target() -> None:
    with pytest.raises(InputError, match="batch"):
        convert_norms(model(), "batch")  # type: ignore[arg-type]


def test_refuses_a_model_that_is_itself_a_norm() -> None:
    with pytest.raises(InputError, match="itself a LayerNorm"):
        convert_norms(nn.LayerNorm(8))
