"""What is measured of a fold's cost: the generated file folds, and a process tells its own peak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import entries, fold_cost
from un_deploy.graph.model.model_file import load_model
from un_deploy.pipeline.fold_file import fold_file


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The generated file, of two layers of 32 channels."""
    monkeypatch.setattr(fold_cost, "WIDTH", 32)
    monkeypatch.setattr(fold_cost, "LAYERS", 2)
    path = tmp_path / "model.onnx"
    fold_cost.generate(path)
    return path


def test_the_generated_file_loses_its_norms_and_is_proven(small: Path) -> None:
    assert small.with_name("model.onnx.data").stat().st_size == 2 * (32 * 32 + 3 * 32) * 4
    report = fold_file(small, small.with_name("folded.onnx"))
    assert len(report.fold.folded) == 2 and report.fold.stayed == ()
    folded = load_model(small.with_name("folded.onnx"))
    operators = [node.op_type for node in folded.graph]
    assert operators == ["MatMul", "Add", "Relu", "MatMul", "Add", "Identity"]


@pytest.mark.parametrize("way", ["load and save", "fold"])
def test_a_way_writes_the_file(small: Path, way: str) -> None:
    imports, work = fold_cost.WAYS[way]
    target = small.with_name("other.onnx")
    seconds, peak = entries.run(imports + work, str(small), str(target))
    assert seconds > 0 and 20 < peak < 1000
    before, after = (load_model(path).graph.initializers["bias1"] for path in (small, target))
    assert before.const_value is not None and after.const_value is not None
    same = np.array_equal(before.const_value.numpy(), after.const_value.numpy())
    assert same == (way == "load and save")


def test_ratios_are_those_of_medians() -> None:
    of = {"load and save": [1.0, 2.0, 9.0], "fold": [3.0, 8.0, 4.0]}
    assert fold_cost._medians(of) == {"load and save": 2.0, "fold": 4.0}
    assert fold_cost._ratios(of) == {"load and save": 1.0, "fold": 2.0}


def test_the_page_has_a_row_for_each_way() -> None:
    entry = {
        "file": "vit_small",
        "file_mb": 88.6,
        "cpu_s": {"load and save": 0.3, "fold": 0.4},
        "cpu_ratio": {"load and save": 1.0, "fold": 1.33},
        "peak_mb": {"load and save": 505.0, "fold": 261.0},
        "peak_ratio": {"load and save": 1.0, "fold": 0.52},
        "imports_s": 0.105,
        "environment": {"cpu": "a processor"},
    }
    page = fold_cost.page([entry])
    assert "| vit_small (89 MB) | fold | 0.40 s | 1.33 | 261 MB | 0.52 |" in page
    assert "0.25 s of CPU (measured with each file: 0.10 s)" in page
