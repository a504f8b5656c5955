"""LayerNorms become the nearest affine without training; what the network does stays near."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from models.fashion_mnist.data import KEPT, pixel_values  # noqa: E402
from models.vit import vit_micro  # noqa: E402
from tests.conversion.networks import CHANNELS, images, post_norm, pre_norm, rows  # noqa: E402
from un_deploy.conversion import calibrate  # noqa: E402
from un_deploy.conversion.divergence import Original  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, load_checkpoint, require_trained  # noqa: E402

pytestmark = pytest.mark.torch
CHECKPOINTS = Path(__file__).parents[2] / "models" / "checkpoints"
NORMS = ["blocks.0.norm1", "blocks.0.norm2", "blocks.1.norm1", "blocks.1.norm2", "norm"]


def divergence(model: nn.Module, original: nn.Module, batches: list) -> float:
    (found,) = Original(original, batches).divergence(model).values()
    return found[0]


def test_every_norm_goes_in_the_order_in_which_they_run() -> None:
    model = pre_norm()
    done = calibrate(model, images(2))
    assert list(done.converted) == NORMS and done.left == {}
    assert all(0 < part < 1 for part in done.converted.values())
    assert done.tokens == 2 * 32 * 5 and done.refitted == ()
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())
    require_trained(model)


def test_it_is_nearer_than_the_statistics_alone_and_nearer_still_when_refitted() -> None:
    original, data, unseen = pre_norm(), images(4), images(2, seed=2)
    plain, refitted = deepcopy(original), deepcopy(original)
    calibrate(plain, data)
    done = calibrate(refitted, data, heldout=images(2, seed=1))
    assert "blocks.0.attn.qkv" in done.refitted and "blocks.1.mlp.fc2" in done.refitted
    near, nearer = (divergence(model, original, unseen) for model in (plain, refitted))
    assert nearer < near < 1


def test_a_network_whose_tokens_are_all_of_one_length_loses_nothing() -> None:
    """Where the norm's input has the same root mean square everywhere, an affine is the norm."""
    model = nn.Sequential(nn.Linear(4, CHANNELS, bias=False), nn.LayerNorm(CHANNELS, eps=0.0))
    with torch.no_grad():
        model[0].weight.copy_(torch.linalg.qr(torch.randn(CHANNELS, CHANNELS))[0][:, :4])
        model[0].weight.sub_(model[0].weight.mean(0))
        model[0].weight.copy_(torch.linalg.qr(model[0].weight)[0])
    x = nn.functional.normalize(torch.randn(64, 4), dim=-1)
    original = deepcopy(model)
    done = calibrate(model, [x])
    assert done.converted["1"] < 1e-6
    torch.testing.assert_close(model(x), original(x), rtol=1e-4, atol=1e-5)


def test_a_post_norm_network_and_positional_batches() -> None:
    model = post_norm()
    original = deepcopy(model)
    done = calibrate(model, rows(2), heldout=rows(2, seed=1))
    assert list(done.converted) == ["norm1", "norm2"]
    assert divergence(model, original, rows(1, seed=2)) < 0.2


def test_padding_is_left_out_of_the_fits() -> None:
    model, other = post_norm(), post_norm()
    (batch,) = rows(1)
    dirty = batch.clone()
    dirty[:, 4:] = 1000.0
    done = calibrate(model, [dirty], padding=lambda x: (x == 1000.0).all(-1))
    expected = calibrate(other, [batch[:, :4]])
    assert done.tokens == expected.tokens == 8 * 4
    for name, value in other.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_what_is_kept_stays_and_is_named() -> None:
    model = pre_norm()
    done = calibrate(model, images(1), keep="*.norm1")
    assert list(done.converted) == ["blocks.0.norm2", "blocks.1.norm2", "norm"]
    assert set(done.left) == {"blocks.0.norm1", "blocks.1.norm1"}
    assert isinstance(model.blocks[0].norm1, nn.LayerNorm)


def test_norms_that_are_gone_already_are_named_as_gone() -> None:
    model = pre_norm()
    once = calibrate(model, images(1), only="blocks.*")
    assert "4 norms became a scale and a shift" in str(once)
    again = calibrate(model, images(1))
    assert list(again.converted) == ["norm"] and list(again.left) == NORMS[:4]
    assert str(again).splitlines() == [
        "1 norm became a scale and a shift, fitted on 160 tokens; layers centred: "
        f"{len(again.centred)}, refitted: 0.",
        f"Gone already, as a scale and a shift: {', '.join(NORMS[:4])}.",
    ]


def test_a_norm_without_weight_and_bias_gets_both() -> None:
    model = post_norm()
    model.norm1 = nn.LayerNorm(CHANNELS, elementwise_affine=False)
    original = deepcopy(model)
    calibrate(model, rows(2), keep="norm2")
    assert model.norm1.weight is not None and model.norm1.bias is not None
    assert divergence(model, original, rows(1, seed=2)) < 0.2


def test_channel_first_norms() -> None:
    class LayerNorm2d(nn.LayerNorm):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.movedim(1, -1)).movedim(-1, 1)

    torch.manual_seed(0)  # as many columns as channels: the axis is told by the norm alone
    model = nn.Sequential(nn.Conv2d(1, 6, 3), LayerNorm2d(6), nn.Conv2d(6, 2, 1)).eval()
    original, data = deepcopy(model), [batch["pixel_values"] for batch in images(2)]
    done = calibrate(model, data)
    assert list(done.converted) == ["1"] and done.tokens == 2 * 32 * 36
    assert isinstance(model[1], UnifiedNorm) and divergence(model, original, data) < 0.3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((batch for batch in rows(1)), "data can be gone through once only"),
        (rows(1)[0], "data is one batch"),
        ([], "data holds no batch"),
        ([torch.ones(2, 3)], "PostNorm does not take a batch of the data: RuntimeError"),
        ([(rows(1)[0], torch.zeros(8))], "its 2 parts are positional arguments: leave labels out"),
    ],
)
def test_data_that_cannot_be_used(data: object, said: str) -> None:
    model = post_norm()
    before = deepcopy(model.state_dict())
    with pytest.raises(InputError, match=said):
        calibrate(model, data)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_data_that_fails_later_leaves_the_model_as_it_was() -> None:
    model = post_norm()
    before = deepcopy(model.state_dict())
    with pytest.raises(InputError, match="does not take a batch of the data"):
        calibrate(model, [*rows(1), torch.ones(2, 3)])
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_nothing_but_padding() -> None:
    with pytest.raises(InputError, match=r"no token .* reached the norm norm1"):
        calibrate(post_norm(), rows(1), padding=lambda x: torch.ones(x.shape[:-1]).bool())


def test_the_users_random_numbers_stay() -> None:
    model, data = post_norm(), rows(1)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    calibrate(model, data)
    assert torch.equal(torch.rand(1), expected)


def test_a_network_without_layer_norms() -> None:
    with pytest.raises(InputError, match="Sequential has no LayerNorm to convert"):
        calibrate(nn.Sequential(nn.Linear(16, 16)), rows(1))


def test_half_of_a_trained_networks_norms_go_for_nothing() -> None:
    """vit_micro on Fashion-MNIST: the five that vary least, judged on images of no fit."""
    import numpy as np

    kept = np.load(KEPT)
    pixels = torch.from_numpy(pixel_values(kept["images"]))
    labels = torch.from_numpy(kept["labels"].astype(np.int64))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    model = vit_micro()
    load_checkpoint(model, CHECKPOINTS / "vit_micro_ln_seed0.pt")
    model.eval()
    original = deepcopy(model)
    stay = ["blocks.0.*", "blocks.1.norm1", "blocks.2.norm1"]
    done = calibrate(model, list(pixels[order[:256]].split(64)), keep=stay)
    assert len(done.converted) == 5
    with torch.no_grad():
        unseen = order[256:]
        before, after = (
            (net(pixels[unseen]).argmax(1) == labels[unseen]).double().mean()
            for net in (original, model)
        )
    assert before > 0.86 and before - after < 0.01
