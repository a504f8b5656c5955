"""The GPU suite as a whole, on micro networks: it ends, survives a kill, keeps its budget."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import journal, suite
from benchmarks.gpu.cells import GRAPHS, Cell, Mode, Series, small
from benchmarks.gpu.measure import SMALL, Effort
from benchmarks.gpu.networks import MISSING
from benchmarks.gpu.report import report, table
from benchmarks.gpu.suite import Suite
from benchmarks.gpu.workers import WorkerError

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "benchmarks/gpu_suite.py", "--small", "--out"]
Answer = Callable[[Cell], dict[str, Any]]


def timed(cell: Cell) -> dict[str, Any]:
    return {"status": "timed", "median_s": {}, "ratios": {}}


class FakeDevice:
    """Stands for the process with the device: a cell takes ten seconds of a clock of its own."""

    alive = True

    def __init__(self, answer: Answer) -> None:
        self.clock, self.answer = 0.0, answer
        self.asked: list[Cell] = []

    def ask(self, function: Any, cell: Cell, *rest: Any, timeout_s: float) -> dict[str, Any]:
        self.asked.append(cell)
        self.clock += 10.0
        return self.answer(cell)

    def end(self) -> None:
        pass


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs series on a fake device; gives the cells asked for, and the report."""

    def run(
        *series: Series, prepared: float = 0.0, answer: Answer = timed, done: tuple[str, ...] = ()
    ) -> tuple[list[Cell], dict[str, Any]]:
        device, path = FakeDevice(answer), tmp_path / "cells.jsonl"
        monkeypatch.setattr(suite.time, "monotonic", lambda: device.clock)
        monkeypatch.setattr(Suite, "_timing", lambda self: device)
        monkeypatch.setattr(Suite, "_count_kernels", lambda self, until: None)
        monkeypatch.setattr(Suite, "_prepare", lambda *given: setattr(device, "clock", prepared))
        Suite(series, "cpu", Effort(), 100.0, 0.0, tmp_path, path, lambda text: None).run(done)
        return device.asked, report(series, journal.read(path))

    return run


def cells(mode: Mode, count: int) -> tuple[Cell, ...]:
    return tuple(Cell("vit_micro", n + 1, "float32", mode) for n in range(count))


ONE, TWO = Series("one", cells("eager", 4), 0.2), Series("two", cells("cuda-graph", 2), 0.6)


class TestBudget:
    def test_it_stops_in_time_and_says_what_was_left_out(self, run: Any) -> None:
        asked, found = run(Series("many", cells("eager", 20), 1.0))
        assert asked == [*cells("eager", 9)]  # the first; ten seconds are kept for the report
        statuses = [cell["status"] for cell in found["cells"]]
        assert statuses == ["timed"] * 9 + ["left out"] * 11
        assert found["cells"][-1]["reason"] == "the budget of 100 s was spent"

    def test_a_series_leaves_time_to_the_next_and_is_taken_up_again(self, run: Any) -> None:
        asked, found = run(ONE, TWO)
        assert asked == [*ONE.cells[:2], *TWO.cells, *ONE.cells[2:]]
        assert {cell["status"] for cell in found["cells"]} == {"timed"}

    def test_late_preparing_does_not_turn_the_order_round(self, run: Any) -> None:
        late = Series("one", cells("eager", 3), 0.5), Series("two", cells("cuda-graph", 3), 1.0)
        assert run(*late, prepared=60.0)[0] == [*late[0].cells[:2], late[1].cells[0]]
        assert run(*late, prepared=95.0)[0] == []

    def test_what_an_older_journal_has_is_not_measured_again(self, run: Any) -> None:
        assert run(TWO, done=(TWO.cells[0].key,))[0] == [TWO.cells[1]]


def test_a_cell_that_fails_takes_no_other_along(run: Any) -> None:
    def answer(cell: Cell) -> dict[str, Any]:
        if cell.batch == 1:
            raise WorkerError("RuntimeError: CUDA error")
        return {"status": "refused", "reason": "fusions"} if cell.batch == 2 else timed(cell)

    _, found = run(Series("one", cells("eager", 3), 1.0), answer=answer)
    told = [(cell["status"], cell.get("reason")) for cell in found["cells"]]
    refused = ("refused", "fusions")
    assert told == [("failed", "RuntimeError: CUDA error"), refused, ("timed", None)]
    assert "vit_micro batch 1 float32 eager: failed: RuntimeError: CUDA error" in table(found)


def statuses(folder: Path, series: tuple[Series, ...]) -> dict[str, set[str]]:
    """By mode; every planned cell is there, timed or with its reason."""
    found = json.loads((folder / "suite.json").read_text())["cells"]
    assert [cell["key"] for cell in found] == [c.key for one in series for c in one.cells]
    by_mode: dict[str, set[str]] = {}
    for cell in found:
        by_mode.setdefault(cell["mode"], set()).add(cell["status"])
        if cell["status"] == "timed":
            again = ["ln, again", "none, again"]
            assert set(cell["median_s"]) == {*cell["variants"], *again}
            assert (cell["builds"], cell["rounds"]) == (SMALL.builds, SMALL.rounds)
            assert {"ln / folded", "none, again / none"} <= cell["ratios"].keys()
        else:
            assert cell["reason"]
    return by_mode


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_and_runs_to_its_end(tmp_path: Path) -> None:
    path, command = tmp_path / "cells.jsonl", [*COMMAND, str(tmp_path), "--device", "cpu"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    finished: list[str] = []
    while len(finished) < 2 and process.poll() is None:
        time.sleep(0.02)
        lines = journal.read(path) if path.is_file() else []
        finished = [line["key"] for line in lines if line.get("status") == "timed"]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    done = subprocess.run([*command, "--done", str(path)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    runnable = statuses(tmp_path, small())
    assert runnable.pop("cuda-graph") == runnable.pop("tensorrt") == {"not runnable"}  # no GPU
    runnable.pop("onnxruntime")  # which need not be installed
    assert runnable == {"eager": {"timed"}}
    kept = [line["key"] for line in journal.read(path) if line.get("from_earlier_run")]
    assert kept == finished or set(finished) < set(kept)
    text = (tmp_path / "table.txt").read_text()
    assert all(f"{name}: {why}" in text for name, why in MISSING.items())
    assert "Gates that failed: 0" in text
    assert f"torch: {torch.__version__}" in text


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_runs_to_its_end_on_a_gpu(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, str(tmp_path)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    by_mode = statuses(tmp_path, small(compiled=True))
    assert all(by_mode[mode] == {"timed"} for mode in ("eager", "cuda-graph", "compile"))
    found = json.loads((tmp_path / "suite.json").read_text())
    timed = [cell for cell in found["cells"] if cell["status"] == "timed"]
    assert all(cell["peak_bytes"]["ln"] > 0 for cell in timed if cell["mode"] not in GRAPHS)
    assert all(cell["pool_bytes"]["ln"] > 0 for cell in timed if cell["mode"] == "cuda-graph")
    assert all(gate["passed"] for place in found["kernels"] for gate in place["gates"])
