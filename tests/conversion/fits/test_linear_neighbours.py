"""Which linear layers read a norm, and which writes into the next one: found by running."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tests.conversion.networks import images, post_norm, pre_norm, rows  # noqa: E402
from un_deploy.conversion.fits.linear_neighbours import readers, writer  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("norm", "found"),
    [
        ("blocks.0.norm1", ["blocks.0.attn.qkv"]),
        ("blocks.1.norm2", ["blocks.1.mlp.fc1"]),
        ("norm", []),  # the head reads one token of it
    ],
)
def test_readers(norm: str, found: list[str]) -> None:
    with torch.no_grad():
        assert readers(pre_norm(), norm, images(1)[0]) == found


@pytest.mark.parametrize(
    ("norm", "after", "found"),
    [
        ("blocks.0.norm2", "blocks.0.norm1", "blocks.0.attn.proj"),
        ("blocks.1.norm1", "blocks.0.norm2", "blocks.0.mlp.fc2"),
        ("norm", "blocks.1.norm2", "blocks.1.mlp.fc2"),
        ("blocks.0.norm1", None, None),  # a convolution writes there, and embeddings
    ],
)
def test_the_writer_of_the_next_norm(norm: str, after: str | None, found: str | None) -> None:
    with torch.no_grad():
        assert writer(pre_norm(), norm, after, images(1)[0]) == found


def test_a_post_norm_network() -> None:
    model, (batch,) = post_norm(), rows(1)
    with torch.no_grad():
        assert readers(model, "norm1", batch) == ["second"]
        assert readers(model, "norm2", batch) == ["head"]
        assert writer(model, "norm2", "norm1", batch) == "second"
