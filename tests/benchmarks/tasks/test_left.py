"""What folded norms leave, on vit_micro: no engine is built."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorrt_rtx", reason="the rtx extra")

from benchmarks.tasks import left
from models.vit import vit_micro

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("norm", "beyond"),
    [("un", {}), ("dyt", {"Mul": 9, "Tanh": 9})],
)
def test_what_no_norm_lacks(norm: str, beyond: dict[str, int]) -> None:
    model, folded = left.graph(norm, "2", vit_micro)
    bare, none = left.graph("none", "2", vit_micro)
    assert left.beyond(model, bare) == beyond
    assert none == 0 and folded == 9


def test_the_norms_weights_are_made_up() -> None:
    weights = left.network("un", vit_micro).state_dict()
    assert 0.7 < weights["norm.weight"].min() < weights["norm.weight"].max() < 1.3
    assert (weights["norm.running_var"] != 1).all()
