"""The Vision Transformer recipe: shapes, sizes, the norm it is given, and both ONNX exporters."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models import vit  # noqa: E402
from tests.models.exporting import assert_onnx_agrees  # noqa: E402

pytestmark = pytest.mark.torch


class Recorded(nn.Identity):
    """A norm that remembers what it was built with."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


@pytest.mark.parametrize(
    ("factory", "dim", "depth", "heads", "weights"),
    [
        (vit.vit_micro, 64, 4, 2, 205_066),
        (vit.vit_tiny, 192, 12, 3, 5_717_416),
        (vit.vit_small, 384, 12, 6, 22_050_664),
        (vit.vit_base, 768, 12, 12, 86_567_656),
    ],
)
def test_sizes(factory, dim: int, depth: int, heads: int, weights: int) -> None:
    """Weights of the three large ones: as published for ViT-Ti/16, ViT-S/16 and ViT-B/16."""
    with torch.device("meta"):
        model = factory()
    assert sum(parameter.numel() for parameter in model.parameters()) == weights
    assert len(model.blocks) == depth
    assert {block.attn.num_heads for block in model.blocks} == {heads}
    assert model.head.in_features == dim


def test_every_norm_is_the_one_given() -> None:
    model = vit.vit_micro(norm_layer=Recorded)
    assert [norm.dim for norm in model.modules() if isinstance(norm, Recorded)] == [64] * 9
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())


def test_factories_take_other_sizes() -> None:
    model = vit.vit_micro(depth=1, num_classes=3)
    assert len(model.blocks) == 1
    assert model(**model.example_inputs(4)).shape == (4, 3)


@pytest.mark.parametrize("sizes", [{"patch_size": 5}, {"num_heads": 3}])
def test_sizes_that_do_not_divide_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no multiple"):
        vit.vit_micro(**sizes)


def test_example_inputs_are_the_same_at_every_call_and_leave_the_global_generator() -> None:
    model = vit.vit_micro()
    before = torch.random.get_rng_state()
    first, second = model.example_inputs(3), model.example_inputs(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first["pixel_values"].shape == (3, 1, 28, 28)
    assert torch.equal(first["pixel_values"], second["pixel_values"])


def test_positions_are_what_tells_patches_apart() -> None:
    """Patches in another order give other logits, and the same ones without positions."""
    torch.manual_seed(0)
    model = vit.vit_micro().eval()
    image = model.example_inputs(1)["pixel_values"]
    moved = image.roll(4, dims=-1)  # by one patch
    with torch.no_grad():
        assert (model(image) - model(moved)).abs().max() > 1e-4
        model.pos_embed.zero_()
        torch.testing.assert_close(model(image), model(moved), atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm_layer", [nn.LayerNorm, Recorded], ids=["ln", "none"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_onnx_agrees_with_pytorch(norm_layer, dynamic: bool, dynamo: bool, tmp_path) -> None:
    torch.manual_seed(0)
    model = vit.vit_micro(norm_layer=norm_layer).eval()
    inputs = model.example_inputs(5 if dynamic else 2)
    assert_onnx_agrees(model, inputs, tmp_path / "m.onnx", dynamic=dynamic, dynamo=dynamo)
