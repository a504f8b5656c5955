"""The Vision Transformer recipe: its architecture, and the norm it is given."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models import vit  # noqa: E402

pytestmark = pytest.mark.torch


class Recorded(nn.Identity):
    """A norm that remembers what it was built with."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim


@pytest.mark.parametrize(
    ("factory", "dim", "depth", "heads"),
    [
        (vit.vit_micro, 64, 4, 2),
        (vit.vit_tiny, 192, 12, 3),
        (vit.vit_small, 384, 12, 6),
        (vit.vit_base, 768, 12, 12),
    ],
)
def test_sizes(factory, dim: int, depth: int, heads: int) -> None:
    with torch.device("meta"):
        model = factory()
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


def test_example_inputs_are_images() -> None:
    inputs = vit.vit_micro().example_inputs(3)
    assert {name: value.shape for name, value in inputs.items()} == {"pixel_values": (3, 1, 28, 28)}


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
