"""The mean is taken out of what writes to the stream, and the network's answers stay."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.conversion.networks import CHANNELS, images, post_norm, pre_norm, rows  # noqa: E402
from un_deploy.conversion.fits.centre import centre_writers  # noqa: E402

pytestmark = pytest.mark.torch


def test_all_writers_of_a_pre_norm_stream() -> None:
    model = pre_norm()
    (batch,) = images(1)
    before = model(**batch)
    done = centre_writers(model, batch, {CHANNELS})
    assert set(done) == {
        "cls_token", "pos_embed", "patch_embed",
        "blocks.0.attn.proj", "blocks.0.mlp.fc2", "blocks.1.attn.proj", "blocks.1.mlp.fc2",
    }  # fmt: skip
    torch.testing.assert_close(model(**batch), before, rtol=1e-4, atol=1e-5)
    stream = model.blocks(model.patch_embed(batch["pixel_values"]).flatten(2).transpose(1, 2))
    assert stream.mean(-1).abs().max() < 1e-5 * stream.abs().max()


def test_one_whose_mean_is_read_stays() -> None:
    """The sum of a post-norm network holds the norm before it, whose mean is that of its bias."""
    model = post_norm()
    (batch,) = rows(1)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    assert centre_writers(model, batch, {CHANNELS}) == ["first", "second"]
    torch.testing.assert_close(model(batch), _run(weights, batch), rtol=1e-4, atol=1e-5)

    plain = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.GELU(), nn.LayerNorm(CHANNELS))
    assert centre_writers(plain, batch, {CHANNELS}) == []


def test_one_that_does_not_run_on_the_data_stays() -> None:
    model = post_norm()
    model.unused = nn.Linear(CHANNELS, CHANNELS)
    weight = model.unused.weight.clone()
    assert "unused" not in centre_writers(model, rows(1)[0], {CHANNELS})
    assert torch.equal(model.unused.weight, weight)


def _run(weights: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
    model = post_norm()
    model.load_state_dict(weights)
    return model(batch)
