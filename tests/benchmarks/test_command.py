"""The GPU suite's command takes over what an earlier run has finished."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import command
from benchmarks.gpu.cells import Cell, Series
from benchmarks.gpu.journal import Journal, read
from benchmarks.gpu.suite import Suite

pytestmark = pytest.mark.torch

ONE, TWO = (Cell("vit_micro", batch, "float32", "eager") for batch in (1, 8))
TIMED: dict[str, Any] = {"median_s": {}, "queued_s": {}, "ratios": {}, "gates": []}


@pytest.mark.parametrize("name", ["cells.jsonl", "earlier.jsonl"])
def test_cells_of_an_earlier_run_are_taken_over(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the earlier journal is the file that this run writes."""
    earlier = Journal(tmp_path / name)
    earlier.write("cell", key=ONE.key, status="timed", **TIMED)
    earlier.write("cell", key=TWO.key, status="left out", reason="left out")
    asked: list[set[str]] = []
    monkeypatch.setattr(Suite, "run", lambda self, done: asked.append(set(done)))
    monkeypatch.setattr(command.signal, "signal", lambda number, handler: None)
    code = command.run(
        [Series("both", (ONE, TWO), 1.0)],
        out=tmp_path,
        folder=tmp_path,
        device="cpu",
        small=True,
        budget_s=60.0,
        began=time.monotonic(),
        done=tmp_path / name,
    )
    assert code == 0
    assert asked == [{ONE.key}]
    (line,) = [line for line in read(tmp_path / "cells.jsonl") if line["kind"] == "cell"]
    assert line["key"] == ONE.key and line["from_earlier_run"] is True
    found = json.loads((tmp_path / "suite.json").read_text())["cells"]
    assert [cell["status"] for cell in found] == ["timed", "not reached"]
