"""Norms that no variant is without are told, since "no norm" and "UN folded" sound otherwise."""

from __future__ import annotations

import pytest

from un_deploy.measure.speed.variant import Kind, StayingNorm, told_staying

FOUR: tuple[Kind, ...] = ("ln", "unfolded", "folded", "none")
A, B, C, D, E = (StayingNorm("LayerNormalization", f"blocks.{i}.norm1") for i in range(5))
G = StayingNorm("GroupNorm", "stem.norm")


@pytest.mark.parametrize(
    ("staying", "said"),
    [
        ({}, []),
        ({"ln": (A, B), "unfolded": (), "folded": (), "none": ()}, []),
        (
            {"ln": (A, B), "unfolded": (B,), "folded": (B,), "none": (B,)},
            [
                "1 LayerNormalization stays in every variant, UN folded and no norm too: "
                "blocks.1.norm1"
            ],
        ),
        (
            dict.fromkeys(FOUR, (A, B, C, D, E)),
            [
                "5 LayerNormalizations stay in every variant, UN folded and no norm too: "
                "blocks.0.norm1, blocks.1.norm1, blocks.2.norm1 and 2 more"
            ],
        ),
        (
            {"ln": (A,), "unfolded": (B, G), "folded": (B, G), "none": ()},
            [
                "1 LayerNormalization and 1 GroupNorm stay in UN unfolded and UN folded: "
                "blocks.1.norm1, stem.norm"
            ],
        ),
        # Of plans nobody knows.
        ({"none": (A,)}, ["1 LayerNormalization stays in no norm: blocks.0.norm1"]),
    ],
)
def test_what_stays(staying: dict[Kind, tuple[StayingNorm, ...]], said: list[str]) -> None:
    assert list(told_staying(staying, FOUR)) == said


def test_another_norm_beside_them_is_what_it_is_called() -> None:
    assert list(told_staying({"rms": (A,), "folded": ()}, ("rms", "folded"))) == []
