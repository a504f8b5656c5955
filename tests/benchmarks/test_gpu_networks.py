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

CELL = Cell("t2t_vit_micro", 3, "float32", "eager", ("un_addcmul", "folded", "none"))


def test_a_fold_calls_what_its_no_norm_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[CELL.network]
    given = networks.Network(recipe.factory, 0.1, folds_to=recipe.folds_to)
    monkeypatch.setitem(networks.NETWORKS, CELL.network, given)
    facts = {kind: prepare(CELL.network, kind, (CELL,), tmp_path) for kind in ("un", "none")}
    assert facts["un"]["gained_biases"] == 2 and facts["un"]["stayed"] == []
    folded, none = (
        torch.load(modules_file(tmp_path, CELL, variant), weights_only=False)[CELL.batch]
        for variant in ("folded", "none")
    )
    gate = no_norm_left(folded, none)
    assert gate.passed, gate.found
    assert calls(none)["linear"] == recipe.layers["linear"] + 2
