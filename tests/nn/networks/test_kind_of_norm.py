"""What a normalization computes, told apart by running it, in the forms that libraries write."""

from __future__ import annotations

from types import MethodType

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.support.released_norm import ReleasedStyleNorm  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.nn.networks.kind_of_norm import kind_of  # noqa: E402

pytestmark = pytest.mark.torch


class LlamaRMSNorm(nn.Module):
    """As in transformers."""

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.variance_epsilon = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        variance = x.float().pow(2).mean(-1, keepdim=True)
        return self.weight * (x * torch.rsqrt(variance + self.variance_epsilon)).to(x.dtype)


class T5LayerNorm(LlamaRMSNorm):
    """Named LayerNorm, and yet it subtracts no mean."""


class GemmaRMSNorm(LlamaRMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (8,), 1 + self.weight, self.variance_epsilon)


class UnweightedRMSNorm(nn.Module):
    """As in diffusers with elementwise_affine=False."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


class PermutedLayerNorm2d(nn.LayerNorm):
    """As in torchvision and timm."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return x.permute(0, 3, 1, 2)


class MeanLayerNorm2d(nn.Module):
    """As in ConvNeXt's own code and Segment Anything."""

    def __init__(self, size: int = 8, axis: int = 1) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(self.axis, keepdim=True)
        variance = (x - mean).pow(2).mean(self.axis, keepdim=True)
        x = (x - mean) / torch.sqrt(variance + 1e-6)
        shape = (-1, 1, 1) if self.axis == 1 else (-1,)
        return self.weight.view(shape) * x + self.bias.view(shape)


class ShapedLayerNorm2d(MeanLayerNorm2d):
    """Its parameters are (C, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.ones(8, 1, 1)) for _ in range(2))


class EitherLayerNorm(nn.LayerNorm):
    """Over the last axis, but over axis 1 of images: no single UN is both."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            return super().forward(x)
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class UnweightedLayerNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:])


class AddThenNorm(nn.LayerNorm):
    """As fused kernels have it: the norm of a sum, where a second input is given."""

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return super().forward(x if residual is None else x + residual)


class NeedsADevice(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("expected an accelerator")


class GlobalResponseNorm(nn.Module):
    """As in ConvNeXt V2."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.zeros(1, 1, 1, 8)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        energy = x.norm(dim=(1, 2), keepdim=True)
        return x + self.weight * x * energy / energy.mean(-1, keepdim=True) + self.bias


class FrozenBatchNorm2d(nn.Module):
    """As in torchvision."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight / torch.sqrt(self.running_var)
        return x * scale.view(8, 1, 1) + (self.bias - self.running_mean * scale).view(8, 1, 1)


@pytest.mark.parametrize(
    ("norm", "channel_first"),
    [
        (nn.LayerNorm(8), False),
        (nn.LayerNorm(8, elementwise_affine=False), False),
        (MeanLayerNorm2d(axis=-1), False),
        (PermutedLayerNorm2d(8), True),
        (PermutedLayerNorm2d(3), True),
        (PermutedLayerNorm2d(5, elementwise_affine=False), True),
        (MeanLayerNorm2d(), True),
        (ShapedLayerNorm2d(), True),
    ],
)
def test_a_layer_norm_of_one_axis(norm: nn.Module, channel_first: bool) -> None:
    kind = kind_of(norm)
    assert kind is not None
    assert kind.why_not is None
    assert kind.channel_first == channel_first
    sizes = [len(p) for p in norm.parameters()] or list(norm.normalized_shape)
    assert {kind.channels} == set(sizes)


RMS = "computes an RMSNorm, whose weight folds with fold_norm_affine=True"
AFFINE = "is a scale and a shift in evaluation, which fold as they are"
OTHER = "does not compute a LayerNorm of the last axis or of axis 1"


@pytest.mark.parametrize(
    ("norm", "why_not"),
    [
        (nn.RMSNorm(8), RMS),
        (LlamaRMSNorm(), RMS),
        (T5LayerNorm(), RMS),
        (GemmaRMSNorm(), RMS),
        (UnweightedRMSNorm(), RMS),
        (nn.BatchNorm1d(8), AFFINE),
        (nn.BatchNorm3d(8), AFFINE),
        (nn.SyncBatchNorm(8), AFFINE),
        (FrozenBatchNorm2d(), AFFINE),
        (nn.BatchNorm2d(8, track_running_stats=False), "has no running statistics: it depends"),
        (nn.InstanceNorm2d(8), "normalises each channel of each sample"),
        (nn.GroupNorm(1, 8), "normalises groups of channels of each sample"),
        (nn.LocalResponseNorm(2), "normalises by the channels next to each"),
        (GlobalResponseNorm(), OTHER),
        (EitherLayerNorm(8), OTHER),
        (UnweightedLayerNorm(), "has no weight that tells its number of channels"),
        (AddThenNorm(8), "takes more than one input"),
        (NeedsADevice(8), "does not run by itself, so what it computes is unknown"),
        (UnifiedNorm(8), "is Unified Normalization already"),
        (ReleasedStyleNorm(8), AFFINE),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_any_other_kind_with_its_reason(norm: nn.Module, why_not: str) -> None:
    kind = kind_of(norm)
    assert kind is not None
    assert kind.why_not is not None
    assert kind.why_not.startswith(f"{type(norm).__name__} {why_not}")


def test_a_forward_put_on_the_module_itself_is_run() -> None:
    norm, doubled = nn.LayerNorm(8), nn.LayerNorm(8)
    norm.forward = MethodType(PermutedLayerNorm2d.forward, norm)  # type: ignore[method-assign]
    doubled.forward = MethodType(lambda self, x: 2 * x, doubled)  # type: ignore[method-assign]
    assert kind_of(norm) == (8, True, None)
    assert kind_of(doubled) == (0, False, f"LayerNorm {AFFINE}")


class PreNorm(nn.Sequential):
    """A container: its parts are met by themselves."""


class Normalize(nn.Module):
    """Of images, by constants."""


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(8, 8),
        PreNorm(nn.LayerNorm(8), nn.Linear(8, 8)),
        Normalize(),
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)).parametrizations.weight[0],
        nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)).parametrizations.weight[0],
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_is_no_normalization_of_activations(module: nn.Module) -> None:
    assert kind_of(module) is None


def test_the_module_stays_as_it_is() -> None:
    norm = MeanLayerNorm2d()
    before = {name: p.clone() for name, p in norm.named_parameters()}
    state = torch.random.get_rng_state()
    kind_of(norm)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert norm.training
    for name, p in norm.named_parameters():
        assert torch.equal(p, before[name])
