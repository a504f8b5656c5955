"""Processes that fail, the journal, wheels, the picture."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import journal
from benchmarks.gpu.heat_map import heat_map
from benchmarks.gpu.workers import Worker, WorkerError, in_parallel


class TestProcesses:
    def test_what_happens_there_is_told(self) -> None:
        worker = Worker({"UN_DEPLOY_TEST": "seen"})
        assert worker.ask(os.getenv, "UN_DEPLOY_TEST", timeout_s=60) == "seen"
        with pytest.raises(WorkerError, match="ZeroDivisionError: division by zero"):
            worker.ask(operator.truediv, 1, 0, timeout_s=60)
        assert worker.ask(operator.add, 2, 3, timeout_s=60) == 5  # it is still of use
        with pytest.raises(WorkerError, match="its process ended with exit code 7"):
            worker.ask(os._exit, 7, timeout_s=60)
        assert not worker.alive

    def test_what_hangs_is_ended(self) -> None:
        worker = Worker({})
        with pytest.raises(WorkerError, match="no answer within 0 s"):
            worker.ask(time.sleep, 600, timeout_s=0.2)
        assert not worker.alive

    def test_in_parallel_one_that_raises_or_hangs_takes_no_other_along(self) -> None:
        calls = [(operator.truediv, 1, 0), (operator.add, 1, 1), (time.sleep, 600)]
        until = time.monotonic() + 15
        found = dict(in_parallel(_call, calls, {}, processes=2, until=until))
        assert found[calls[1]] == 2
        assert "division by zero" in str(found[calls[0]])
        assert str(found[calls[2]]) == "the time for it was over"


def _call(function: Any, *given: Any) -> Any:
    return function(*given)


def test_the_journal_goes_on_from_an_older_one_that_a_kill_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cells.jsonl"
    journal.write(path, "cell", key="one", status="timed", ratio=1.25)
    journal.write(path, "cell", key="two", status="left out")
    with path.open("a") as file:
        file.write('{"kind": "cell", "key": "thr')
    assert [line["key"] for line in journal.read(path)] == ["one", "two"]
    assert journal.begin(path, path, device="cpu") == {"one"}  # into the same file
    start, one = journal.read(path)
    assert start == {"kind": "start", "device": "cpu"}
    assert one["ratio"] == 1.25 and one["from_earlier_run"] is True


def test_wheels_are_put_before_what_is_installed(tmp_path: Path) -> None:
    """In a process of its own, and in that one's child."""
    with zipfile.ZipFile(tmp_path / "rich-99-py3-none-any.whl", "w") as wheel:
        wheel.writestr("rich/__init__.py", "WHERE = 'the wheel'\n")
    child = "import rich; print(rich.WHERE)"
    program = f"""
import subprocess, sys
from pathlib import Path
from benchmarks.gpu_suite import use_wheels
print(use_wheels(Path({str(tmp_path)!r}), Path({str(tmp_path / "into")!r})))
import rich
print(rich.WHERE, flush=True)
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['rich-99-py3-none-any.whl']", "the wheel", "the wheel"]


def test_the_map_has_a_panel_for_each_mode() -> None:
    same = {"precision": "float16", "recognize": True, "network": "vit_small"}
    places = [("eager", 1, 1.2, True), ("eager", 32, 1.04, False), ("compile", 1, 0.9, True)]
    cells: list[dict[str, Any]] = [
        {**same, "mode": mode, "batch": batch, "ratios": {"ln / folded": told}}
        for mode, batch, r, sure in places
        for told in [{"ratio": r, "significant": sure}]
    ]
    eager, compiled = heat_map([*cells, {"status": "left out"}]).data
    assert eager.x == ("batch 1", "batch 32") and eager.text == ("1.200*", "1.040")
    assert compiled.z == (0.9,) and compiled.y == ("vit_small",)
