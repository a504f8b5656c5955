"""A build takes the memory of the bare builder, and that of its own imports beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import build_memory
from benchmarks.build_memory import BASE, OURS, WAYS, measure, page
from un_deploy.graph.model.model_file import load_model

IMPORTS = 180.0
"""MB that a build may take beyond the bare builder: onnx, numpy, the command line (some 125)."""


@pytest.mark.parametrize("pairs", [1, 3])
def test_the_generated_file_is_a_chain(
    pairs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_memory, "WIDE", 100)
    build_memory.generate(pairs, tmp_path / "m.onnx")
    graph = load_model(tmp_path / "m.onnx").graph
    assert [node.op_type for node in graph] == ["MatMul"] * 2 * pairs
    assert sum(value.const_value.nbytes for value in graph.initializers.values()) == pairs * 51200


@pytest.mark.parametrize("precision", ["fp16", pytest.param("fp32", marks=pytest.mark.slow)])
def test_weights_are_not_in_memory_beside_the_builder(tmp_path: Path, precision: str) -> None:
    """Of 128 MB of weights. Held meanwhile, they would be that much more; TensorRT has 1.5 or 3
    times as much itself, in the precision of the engine."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    build_memory.generate(1, tmp_path / "m.onnx")
    peaks = measure(tmp_path / "m.onnx", precision, rounds=1)["peak_mb"]
    assert set(peaks) == set(WAYS)
    assert peaks[BASE] > {"fp16": 192, "fp32": 384}[precision]
    assert peaks[OURS] - peaks[BASE] < IMPORTS


def test_the_page_has_a_row_for_each_way() -> None:
    entry = {
        "file": "512 MB",
        "precision": "fp16",
        "peak_mb": {BASE: 943.7, OURS: 1068.2},
        "peak_ratio": {BASE: 1.0, OURS: 1.132},
        "builder": "TensorRT-RTX 1.7",
        "environment": {"cpu": "a processor"},
    }
    assert "| 512 MB | fp16 | un-deploy build | 1068 MB | 1.13 |" in page([entry])
