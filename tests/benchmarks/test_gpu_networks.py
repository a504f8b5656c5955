"""Networks of the suite whose folds have biases that they lack are held against those with them."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks.gpu import networks  # noqa: E402  (needs torch)
from benchmarks.gpu.cells import Cell  # noqa: E402
from benchmarks.gpu.gates import calls, no_norm_left  # noqa: E402
from benchmarks.gpu.prepare import modules_file, prepare  # noqa: E402
from models.recipes import RECIPES  # noqa: E402

pytestmark = pytest.mark.torch

VARIANTS = ("un_addcmul", "folded", "none")
NMT = pytest.param("nmt_micro_step", 1, marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "biases"), [("t2t_vit_micro", 2), NMT])
def test_a_fold_calls_what_its_no_norm_calls(
    name: str, biases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, recipe = Cell(name, 3, "float32", "eager", VARIANTS), RECIPES[name]
    given = networks.Network(recipe.factory, 0.1, folds_to=recipe.folds_to)
    monkeypatch.setitem(networks.NETWORKS, name, given)
    facts = {kind: prepare(name, kind, (cell,), tmp_path) for kind in ("un", "none")}
    assert facts["un"]["gained_biases"] == biases and facts["un"]["stayed"] == []
    folded, none = (
        torch.load(modules_file(tmp_path, cell, variant), weights_only=False)[cell.batch]
        for variant in ("folded", "none")
    )
    gate = no_norm_left(folded, none)
    assert gate.passed, gate.found
    assert calls(none)["linear"] == recipe.layers["linear"] + biases
