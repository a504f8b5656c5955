"""Folds damaged at random places are refused, with the place; ten networks, every kind of damage.

`make corruptions` makes 2,000 of them (benchmarks/corruptions.py).
"""

from __future__ import annotations

import pytest

import un_deploy
from tests.support.corruptor.corrupt import KINDS, Corruptor
from tests.support.corruptor.judge import unseen
from tests.support.corruptor.networks import NETWORKS, folded_network

#: Exported from torch.
_EXPORTED = ("bert of 12 layers", "vit", "fp16", "bf16")

NAMES = [
    pytest.param(name, marks=[pytest.mark.torch] * (name in _EXPORTED), id=name)
    for name in NETWORKS
]


@pytest.mark.parametrize("name", NAMES)
def test_one_damage_of_every_kind_is_seen_and_named(name: str) -> None:
    original, folded = folded_network(name)
    assert folded.report.folded
    assert un_deploy.verify(original, folded.model).verdict == "proven"
    corruptor, seed = Corruptor(folded.model), [*NETWORKS].index(name)
    drawn = {kind: corruptor.damaged(kind, seed) for kind in KINDS}
    made = {kind: one for kind, one in drawn.items() if one is not None}
    assert len(made) >= 10
    assert [why for one in made.values() if (why := unseen(original, one))] == []


def test_every_kind_has_a_place_in_some_network() -> None:
    names = [name for name in NETWORKS if name not in _EXPORTED]
    corruptors = [Corruptor(folded_network(name)[1].model) for name in names]
    for kind in KINDS:
        assert any(corruptor.damaged(kind, 0) for corruptor in corruptors), kind
