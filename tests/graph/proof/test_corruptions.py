"""Folds damaged at random places are refused, with the place; ten networks, every kind of damage.

`make corruptions` makes 2,000 of them (benchmarks/corruptions.py).
"""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest
from click.testing import CliRunner

import un_deploy
from tests.support.corruptor.corrupt import KINDS, Corruptor, Damaged
from tests.support.corruptor.judge import unseen, unseen_by_the_proof
from tests.support.corruptor.networks import NETWORKS, folded_network
from un_deploy.cli import main
from un_deploy.measure.equality.verify import verify_fold

#: Exported from torch.
EXPORTED = ("bert of 12 layers", "vit", "fp16", "bf16")
WRITTEN = [name for name in NETWORKS if name not in EXPORTED]


def one_of_every_kind(name: str, seed: int) -> list[Damaged]:
    """The damages that the network has a place for."""
    corruptor = Corruptor(folded_network(name)[1].model)
    drawn = [corruptor.damaged(kind, seed) for kind in KINDS]
    made = [damaged for damaged in drawn if damaged is not None]
    assert len(made) >= 10
    return made


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.torch] * (n in EXPORTED), id=n) for n in NETWORKS],
)
def test_the_proof_sees_and_names_one_damage_of_every_kind(name: str) -> None:
    original, folded = folded_network(name)
    assert folded.report.folded and verify_fold(original, folded).verdict == "proven"
    made = one_of_every_kind(name, seed=[*NETWORKS].index(name))
    assert [w for d in made if (w := unseen_by_the_proof(original, folded, d))] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_verify_sees_and_names_one_damage_of_every_kind(name: str) -> None:
    """Of two models, where it may not know that one was to be the fold of the other."""
    original, folded = folded_network(name)
    assert un_deploy.verify(original, folded.model).verdict == "proven"
    made = one_of_every_kind(name, seed=100 + WRITTEN.index(name))
    assert [why for damaged in made if (why := unseen(original, damaged))] == []


@pytest.mark.parametrize("kind", ["a weight off", "an edge moved", "an operator dropped"])
def test_the_exit_code_is_3(kind: str, tmp_path: Path) -> None:
    original, folded = folded_network("pieces")
    damaged = Corruptor(folded.model).damaged(kind, 0)
    assert damaged is not None
    ir.save(original, tmp_path / "a.onnx")
    ir.save(damaged.model, tmp_path / "b.onnx")
    result = CliRunner().invoke(
        main, ["verify", str(tmp_path / "a.onnx"), str(tmp_path / "b.onnx")]
    )
    assert result.exit_code == 3
    assert any(name in result.output for name in damaged.place.names)


def test_every_kind_has_a_place_in_some_network() -> None:
    corruptors = [Corruptor(folded_network(name)[1].model) for name in WRITTEN]
    for kind in KINDS:
        assert any(corruptor.damaged(kind, 0) for corruptor in corruptors), kind
