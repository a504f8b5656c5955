"""The GPU suite as a whole, on micro networks: it ends, survives a kill, keeps its budget."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from benchmarks.gpu import command, suite
from benchmarks.gpu.cells import GRAPHS, Cell, Series, large, small
from benchmarks.gpu.journal import Journal, read
from benchmarks.gpu.report import report, table
from benchmarks.gpu.suite import Settings, Suite
from benchmarks.gpu.timing import Effort
from benchmarks.gpu.workers import WorkerError

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "benchmarks/gpu_suite.py", "--device", "cpu", "--small"]


class FakeDevice:
    """Stands for the process with the device: a cell takes ten seconds of a clock of its own."""

    alive = True

    def __init__(self, clock: list[float], answer: Callable[[Cell], Any]) -> None:
        self.clock, self.answer_of = clock, answer
        self.asked: list[str] = []

    def ask(self, function: Callable[..., Any], cell: Cell, *rest: Any, timeout_s: float) -> Any:
        self.asked.append(cell.key)
        self.clock[0] += 10.0
        return self.answer_of(cell)

    def end(self) -> None:
        self.alive = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(suite.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def run(
    tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[list[str], dict[str, Any]]]]:
    """Runs series on a fake device; gives the cells asked for, and the report."""
    monkeypatch.setattr(Suite, "_prepare", lambda self: None)
    monkeypatch.setattr(Suite, "_count_kernels", lambda self: None)

    def run(
        series: tuple[Series, ...],
        budget_s: float,
        answer: Callable[[Cell], Any] = lambda cell: {},
        done: tuple[str, ...] = (),
    ) -> tuple[list[str], dict[str, Any]]:
        device = FakeDevice(clock, answer)
        monkeypatch.setattr(Suite, "_device", lambda self: device)
        settings = Settings("cpu", budget_s, Effort(), reserve_s=10.0)
        path = tmp_path / "cells.jsonl"
        Suite(series, settings, tmp_path, Journal(path), 0.0, lambda text: None).run(done)
        return device.asked, report(series, read(path))

    yield run


def cells(mode: str, count: int) -> tuple[Cell, ...]:
    return tuple(Cell("vit_micro", n + 1, "float32", mode) for n in range(count))


class TestBudget:
    def test_it_stops_in_time_and_says_what_was_left_out(self, run: Any, clock: Any) -> None:
        asked, found = run((Series("one", cells("eager", 20), 1.0),), 100.0)
        assert clock[0] == 90.0  # ten seconds are kept for the report
        assert asked == [cell.key for cell in cells("eager", 9)]  # the first, not the last
        status = {cell["key"]: cell["status"] for cell in found["cells"]}
        assert [*status.values()] == ["timed"] * 9 + ["left out"] * 11
        assert found["cells"][-1]["reason"] == "the budget of 100 s was spent"

    def test_a_series_leaves_time_to_the_next_and_is_taken_up_again(self, run: Any) -> None:
        series = (Series("one", cells("eager", 4), 0.2), Series("two", cells("cuda-graph", 2), 0.6))
        asked, found = run(series, 100.0)
        first, second = ([cell.key for cell in one.cells] for one in series)
        assert asked == [*first[:2], *second, *first[2:]]
        assert {cell["status"] for cell in found["cells"]} == {"timed"}

    def test_late_preparing_does_not_turn_the_order_round(self, run: Any, clock: Any) -> None:
        clock[0] = 60.0
        series = (Series("one", cells("eager", 3), 0.5), Series("two", cells("cuda-graph", 3), 1.0))
        asked, _ = run(series, 100.0)
        first, second = ([cell.key for cell in one.cells] for one in series)
        assert asked == [*first[:2], *second[:1]]

    def test_nothing_is_begun_when_it_is_spent(self, run: Any, clock: Any) -> None:
        clock[0] = 95.0
        asked, found = run((Series("one", cells("eager", 2), 1.0),), 100.0)
        assert asked == [] and {cell["status"] for cell in found["cells"]} == {"left out"}

    def test_what_an_older_journal_has_is_not_measured_again(self, run: Any) -> None:
        one, two = cells("eager", 2)
        asked, found = run((Series("one", (one, two), 1.0),), 100.0, done=(one.key,))
        assert asked == [two.key]
        assert [cell["status"] for cell in found["cells"]] == ["not reached", "timed"]


class TestFailures:
    def test_a_cell_that_fails_takes_no_other_along(self, run: Any) -> None:
        def answer(cell: Cell) -> dict[str, Any]:
            texts = {
                1: "RuntimeError: CUDA error",
                2: "NotRunnableError: needs more",
                3: "RefusedError: fusions differ",
            }
            if cell.batch in texts:
                raise WorkerError(texts[cell.batch])
            return {}

        asked, found = run((Series("one", cells("eager", 4), 1.0),), 100.0, answer)
        assert len(asked) == 4
        told = [(cell["status"], cell.get("reason")) for cell in found["cells"]]
        assert told == [
            ("failed", "RuntimeError: CUDA error"),
            ("not runnable", "needs more"),
            ("refused", "fusions differ"),
            ("timed", None),
        ]

    def test_what_was_not_run_is_in_the_table(self) -> None:
        lines = [{"kind": "missing", "networks": {"swin": "no recipe"}, "unprepared": {}}]
        text = table(report(large(), lines))
        assert "swin: no recipe" in text
        assert "vit_small batch 1 float16 cuda-graph: not reached" in text


def plan(found: dict[str, Any], series: tuple[Series, ...]) -> None:
    """Every planned cell is there, timed or with its reason."""
    keys = [cell["key"] for cell in found["cells"]]
    assert keys == [cell.key for one in series for cell in one.cells]
    for cell in found["cells"]:
        if cell["status"] == "timed":
            assert set(cell["median_s"]) == set(
                cell["variants"] + [f"{name}, again" for name in ("ln", "none")]
            )
            assert cell["builds"] == command.SMALL.builds
            assert cell["rounds"] == command.SMALL.rounds
            assert "ln / folded" in cell["ratios"] and "none, again / none" in cell["ratios"]
        else:
            assert cell["reason"]


@pytest.mark.slow
def test_it_runs_to_its_end_on_a_cpu(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--out", str(tmp_path)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads((tmp_path / "suite.json").read_text())
    plan(found, small())
    status = {cell["key"]: cell["status"] for cell in found["cells"]}
    captured = [key for key in status if "cuda-graph" in key]
    assert len(captured) == 4
    assert {status.pop(key) for key in captured} == {"not runnable"}
    engines = [key for key in status if "tensorrt" in key]
    assert {status.pop(key) for key in engines} == {"not runnable"}  # no GPU
    assert {state for key, state in status.items() if "onnxruntime" not in key} == {"timed"}
    assert found["missing"]["networks"].keys() == {"swin", "t2t_vit", "nmt"}
    assert found["device"]["facts"]["torch"] == torch.__version__
    text = (tmp_path / "table.txt").read_text()
    assert "cuda-graph needs a CUDA device" in text and "Gates that failed: 0" in text
    assert ElementTree.fromstring((tmp_path / "map.svg").read_text()).tag.endswith("svg")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cells.jsonl",
        "map.svg",
        "suite.json",
        "table.txt",
    ]


@pytest.mark.slow
def test_killed_in_the_middle_it_leaves_every_finished_cell_readable(tmp_path: Path) -> None:
    journal = tmp_path / "cells.jsonl"
    process = subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        finished: list[dict[str, Any]] = []
        while len(finished) < 2 and process.poll() is None:
            time.sleep(0.02)
            lines = read(journal) if journal.is_file() else []
            finished = [line for line in lines if line.get("status") == "timed"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    lines = read(journal)
    assert len(lines) >= len(journal.read_text().splitlines()) - 1
    timed = [line for line in lines if line.get("status") == "timed"]
    assert len(timed) >= 2
    assert all(line["ratios"]["ln / folded"]["ratio"] > 0 for line in timed)
    shape = [command.SMALL.rounds] * command.SMALL.builds
    assert all([len(build) for build in line["seconds"]["ln"]] == shape for line in timed)
    found = report(small(), lines)
    assert found["seconds"] is None
    plan(found, small())
    assert "not reached" in table(found)


@pytest.mark.slow
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_runs_to_its_end_on_a_gpu(tmp_path: Path) -> None:
    arguments = ["--device", "cuda", "--small", "--compile", "--out", str(tmp_path)]
    done = subprocess.run([*COMMAND[:2], *arguments], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads((tmp_path / "suite.json").read_text())
    plan(found, small(compiled=True))
    timed = [cell for cell in found["cells"] if cell["status"] == "timed"]
    assert {"eager", "cuda-graph", "compile"} <= {cell["mode"] for cell in timed}
    assert all(cell["peak_bytes"]["ln"] > 0 for cell in timed if cell["mode"] not in GRAPHS)
    assert all(cell["pool_bytes"]["ln"] > 0 for cell in timed if cell["mode"] == "cuda-graph")
    assert all(gate["passed"] for place in found["kernels"] for gate in place["gates"])
