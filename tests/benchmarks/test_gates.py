"""The gates pass what is right and fail what is wrong; what failed is not timed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import gates
from benchmarks.gpu.cells import Cell
from benchmarks.gpu.measure import Effort, measure
from benchmarks.gpu.prepare import inputs_file, modules_file, reference_file
from benchmarks.gpu.report import exit_code, failed_gates
from un_deploy.measure.speed.statistics import ratio

pytestmark = pytest.mark.torch

CELL = Cell("vit_micro", 3, "float32", "eager", ("un", "folded", "none"))
FOLDED = "folded calls what no norm calls"


def measured(folder: Path, cell: Cell = CELL) -> dict[str, Any]:
    return measure(cell, folder, "cpu", Effort(builds=2, rounds=2, sample_s=0.0))


def passed(found: dict[str, Any], name: str = "answers") -> dict[str | None, bool | None]:
    return {gate["variant"]: gate["passed"] for gate in found["gates"] if gate["name"] == name}


@pytest.fixture
def copied(prepared: Path, tmp_path: Path) -> Path:
    """The prepared files, to be spoilt."""
    return Path(shutil.copytree(prepared, tmp_path / "copied"))


def spoil(folder: Path, variant: str, function: Any, change: Any) -> None:
    """Change the first call of a function in a prepared module."""
    path = modules_file(folder, CELL, variant)
    modules = torch.load(path, weights_only=False)
    (node, *_) = modules[3].graph.find_nodes(op="call_function", target=function)
    change(modules[3], node)
    modules[3].recompile()
    torch.save(modules, path)


@pytest.mark.parametrize(
    ("precision", "variants"),
    [
        ("float32", CELL.variants),
        ("float32", ("ln", "ln_separate", "un_released", "un_addcmul")),
        ("float16", ("ln", "un", "none")),
    ],
)
def test_what_is_right_is_timed(prepared: Path, precision: Any, variants: tuple[str, ...]) -> None:
    found = measured(prepared, replace(CELL, precision=precision, variants=variants))
    assert found["status"] == "timed" and found["left"] == {}
    assert passed(found) == dict.fromkeys(variants, True)
    assert passed(found, FOLDED) == ({None: True} if "folded" in variants else {})
    assert set(variants) <= found["median_s"].keys()
    assert np.shape(found["seconds"][variants[0]]) == (2, 2)


def test_a_fold_that_changes_the_answers_is_not_timed(copied: Path) -> None:
    """Folded must give what UN gives; its own float32 answers would be right in themselves."""

    def add(module: Any, linear: Any) -> None:
        getattr(module, linear.args[2].target).add_(0.1)

    spoil(copied, "folded", torch.nn.functional.linear, add)
    found = measured(copied)
    assert passed(found) == {"un": True, "folded": False, "none": True}
    assert "folded" not in found["median_s"]
    assert "its answers are wrong" in found["left"]["folded"]
    assert exit_code({"cells": [{"key": "it", **found}], "kernels": []}) == 3


def test_a_norm_that_stayed_is_seen(copied: Path) -> None:
    shutil.copy(modules_file(copied, CELL, "un"), modules_file(copied, CELL, "folded"))
    found = measured(copied)
    assert passed(found)["folded"] is True  # only the other gate sees it
    (told,) = failed_gates({"cells": [{"key": "it", **found}], "kernels": []}, of_times=False)
    assert told == f"it: {FOLDED}: 9 add more, 9 mul more"


def test_a_cell_whose_variants_are_not_alike_is_refused(copied: Path) -> None:
    def replace_it(module: Any, gelu: Any) -> None:
        gelu.target, gelu.kwargs = torch.relu, {}

    spoil(copied, "none", torch.nn.functional.gelu, replace_it)
    found = measured(copied)
    assert found["status"] == "refused"
    assert "3 gelu in none, but" in found["reason"] and "4 gelu in un:" in found["reason"]


def test_what_was_not_prepared_or_cannot_run_is_said(copied: Path) -> None:
    reference_file(copied, "vit_micro", "un").unlink()
    found = measured(copied)
    assert found["left"] == dict.fromkeys(("un", "folded"), "it was not prepared")
    assert "none, again / none" in found["ratios"]
    told = measured(copied, replace(CELL, mode="cuda-graph"))
    assert told == {"status": "not runnable", "reason": "cuda-graph needs a CUDA device"}
    inputs_file(copied, "vit_micro").unlink()
    assert measured(copied)["reason"] == "its inputs were not prepared"


def test_answers_that_are_not_finite_fail(tmp_path: Path) -> None:
    np.savez(tmp_path / "reference.npz", y=np.ones((2, 4)))
    for last, right in ((1.0, True), (1.1, False), (np.nan, False)):
        outputs = [np.array([[1.0] * 4, [1.0, 1.0, 1.0, last], [1.0] * 4])]
        gate = gates.answers("un", outputs, tmp_path / "reference.npz", "float32")
        assert gate.passed is right
    unseen = [np.array([[1.0] * 4, [1.0] * 4, [np.inf] * 4])]  # a row without reference
    assert gates.answers("un", unseen, tmp_path / "reference.npz", "float32").passed is False


def test_as_fast_as_no_norm_within_two_percent() -> None:
    b = 1 + 1e-3 * np.random.default_rng(0).random((5, 20))
    assert gates.as_fast(ratio(b, b[:, ::-1])).passed is True
    assert gates.as_fast(ratio(1.05 * b, b[:, ::-1])).passed is False
    noisy = b * np.array([0.97, 1.02, 0.99, 1.03, 1.0])[:, None]
    assert gates.as_fast(ratio(noisy, b)).passed is None
    assert gates.as_fast(ratio(1.05 * b[:1, :3], b[:1, 2::-1])).passed is None  # too few rounds


def test_layer_norm_is_one_kernel() -> None:
    assert gates.layer_norm_kernels({"ln": 34, "none": 25}, 9).passed is True
    assert gates.layer_norm_kernels({"ln": 106, "none": 25}, 9).passed is False
    assert gates.layer_norm_kernels({}, 9).passed is None
