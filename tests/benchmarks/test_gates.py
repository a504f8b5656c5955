"""The gates pass what is right and fail what is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import gates
from benchmarks.gpu.cells import Cell
from benchmarks.gpu.load_cell import NotRunnableError, RefusedError
from benchmarks.gpu.measure_cell import measure
from benchmarks.gpu.prepare import inputs_file, prepared_file, reference_file
from benchmarks.gpu.report import failed_gates
from benchmarks.gpu.timing import Effort
from un_deploy.measure.speed.statistics import ratio
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

EFFORT = Effort(builds=2, rounds=2, sample_s=0.0)
CELL = Cell("vit_micro", 3, "float32", "eager", ("un", "folded", "none"))


def measured(folder: Path, cell: Cell = CELL) -> dict:
    return measure(cell, folder, "cpu", EFFORT, float("inf"))


def linked(prepared: Path, folder: Path) -> Path:
    """A folder with the same files, of which one can be replaced."""
    (folder / "vit_micro").mkdir()
    for path in (prepared / "vit_micro").iterdir():
        (folder / "vit_micro" / path.name).symlink_to(path)
    return folder


def gate(found: dict, name: str, variant: str | None = None) -> dict:
    (one,) = [g for g in found["gates"] if (g["name"], g["variant"]) == (name, variant)]
    return one


class TestNoNormLeft:
    NAME = "folded calls what no norm calls"

    def test_folded_is_the_network_without_norms(self, prepared: Path) -> None:
        assert gate(measured(prepared), self.NAME)["passed"] is True

    def test_a_norm_that_stayed_is_seen(self, with_a_norm_left: Path) -> None:
        found = measured(with_a_norm_left)
        assert gate(found, self.NAME)["passed"] is False
        assert gate(found, self.NAME)["found"] == "1 add more, 1 mul more"
        # Its answers are right all the same: only this gate sees it.
        assert gate(found, "answers", "folded")["passed"] is True

    def test_it_fails_the_run(self, with_a_norm_left: Path) -> None:
        cell = {"key": CELL.key, "status": "timed", **measured(with_a_norm_left)}
        (told,) = failed_gates({"cells": [cell], "kernels": []}, of_times=False)
        assert told == f"{CELL.key}: {self.NAME}: 1 add more, 1 mul more"


class TestAnswers:
    def test_all_variants_give_the_float32_answers(self, prepared: Path) -> None:
        for precision, variants in (("float32", CELL.variants), ("float16", ("ln", "un", "none"))):
            found = measured(prepared, replace(CELL, precision=precision, variants=variants))
            passed = {g["variant"]: g["passed"] for g in found["gates"] if g["name"] == "answers"}
            assert passed == dict.fromkeys(variants, True)
            assert found["left"] == {}

    def test_a_fold_that_changes_the_answers_is_not_timed(
        self, prepared: Path, tmp_path: Path
    ) -> None:
        """Folded must give what UN gives; its own float32 answers would be right in themselves."""
        path = prepared_file(linked(prepared, tmp_path), "vit_micro", "folded", "float32", True)
        modules = torch.load(path, weights_only=False)
        (linear, *_) = modules[3].graph.find_nodes(
            op="call_function", target=torch.nn.functional.linear
        )
        getattr(modules[3], linear.args[2].target).add_(0.1)
        path.unlink()
        torch.save(modules, path)
        found = measured(tmp_path)
        assert gate(found, "answers", "folded")["passed"] is False
        assert gate(found, "answers", "un")["passed"] is True
        assert "folded" not in found["median_s"]
        assert "its answers are wrong" in found["left"]["folded"]

    def test_a_variant_without_reference_is_not_timed(self, prepared: Path, tmp_path: Path) -> None:
        reference_file(linked(prepared, tmp_path), "vit_micro", "un").unlink()
        found = measured(tmp_path)
        assert found["left"] == dict.fromkeys(("un", "folded"), "it was not prepared")
        assert "none, again / none" in found["ratios"]

    def test_what_is_not_finite_fails(self) -> None:
        one = {"y": np.ones(3)}
        assert gates.answers("un", one, one, "float32").passed is True
        assert gates.answers("un", one, one, "float32", finite=False).passed is False
        bad = {"y": np.array([1.0, np.nan, 1.0])}
        assert gates.answers("un", bad, one, "float32").passed is False


class TestFusions:
    def test_a_cell_whose_variants_differ_is_refused(self, prepared: Path, tmp_path: Path) -> None:
        """One GELU is another function in one variant."""
        path = prepared_file(linked(prepared, tmp_path), "vit_micro", "none", "float32", True)
        modules = torch.load(path, weights_only=False)
        (node, *_) = modules[3].graph.find_nodes(
            op="call_function", target=torch.nn.functional.gelu
        )
        node.target, node.kwargs = torch.relu, {}
        modules[3].recompile()
        path.unlink()
        torch.save(modules, path)
        assert counts(modules[3])["gelu"] == 3
        with pytest.raises(RefusedError, match=r"fusions differ.*4 gelu.*3 gelu"):
            measured(tmp_path)


class TestTimes:
    def test_within_two_percent(self) -> None:
        b = 1 + 1e-3 * np.random.default_rng(0).random((5, 20))
        assert gates.as_fast(ratio(b, b[:, ::-1])).passed is True
        assert gates.as_fast(ratio(1.05 * b, b[:, ::-1])).passed is False
        noisy = b * np.array([0.97, 1.02, 0.99, 1.03, 1.0])[:, None]
        assert gates.as_fast(ratio(noisy, b)).passed is None
        assert gates.as_fast(None).passed is None

    def test_too_few_rounds_show_nothing(self) -> None:
        b = 1 + 1e-3 * np.random.default_rng(0).random((1, 3))
        assert gates.as_fast(ratio(1.05 * b, b[:, ::-1])).passed is None


class TestKernels:
    def test_layer_norm_is_one_kernel(self) -> None:
        assert gates.layer_norm_kernels({"ln": 34, "none": 25}, 9).passed is True
        assert gates.layer_norm_kernels({"ln": 106, "none": 25}, 9).passed is False
        assert gates.layer_norm_kernels({"ln": None, "none": None}, 9).passed is None


def test_a_cuda_graph_on_a_cpu_is_not_runnable(prepared: Path) -> None:
    with pytest.raises(NotRunnableError, match="cuda-graph needs a CUDA device"):
        measured(prepared, replace(CELL, mode="cuda-graph"))


def test_what_was_not_prepared_is_said(prepared: Path, tmp_path: Path) -> None:
    cell = replace(CELL, precision="float16", variants=("un", "folded", "none"))
    assert measured(prepared, cell)["left"] == {"folded": "it was not prepared"}
    with pytest.raises(NotRunnableError, match="none of its variants was prepared"):
        measured(prepared, replace(CELL, precision="bfloat16"))
    inputs_file(linked(prepared, tmp_path), "vit_micro").unlink()
    with pytest.raises(NotRunnableError, match="its inputs were not prepared"):
        measured(tmp_path)
