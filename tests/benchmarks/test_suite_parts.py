"""Processes that fail, the journal, wheels, ratios without SciPy, the picture."""

from __future__ import annotations

import json
import operator
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.gpu import ratios
from benchmarks.gpu.heat_map import colour, heat_map
from benchmarks.gpu.journal import Journal, read
from benchmarks.gpu.wheels import use_wheels
from benchmarks.gpu.workers import Worker, WorkerError, in_parallel
from un_deploy.errors import MissingPackageError


class TestWorkers:
    def test_what_happens_in_a_process_is_told(self) -> None:
        worker = Worker()
        assert worker.ask(operator.add, 2, 3, timeout_s=60) == 5
        with pytest.raises(WorkerError, match="ZeroDivisionError: division by zero"):
            worker.ask(operator.truediv, 1, 0, timeout_s=60)
        assert worker.ask(operator.add, 2, 3, timeout_s=60) == 5  # it is still of use
        with pytest.raises(WorkerError, match="its process ended with exit code 7"):
            worker.ask(os._exit, 7, timeout_s=60)
        assert not worker.alive

    def test_what_hangs_is_ended(self) -> None:
        worker = Worker()
        assert worker.ask(operator.add, 2, 3, timeout_s=60) == 5
        with pytest.raises(WorkerError, match="no answer within 0 s"):
            worker.ask(time.sleep, 600, timeout_s=0.2)
        assert not worker.alive

    def test_environment(self) -> None:
        worker = Worker(environment={"UN_DEPLOY_TEST": "seen"})
        assert worker.ask(os.getenv, "UN_DEPLOY_TEST", timeout_s=60) == "seen"
        worker.end()

    def test_one_that_dies_takes_no_other_call_along(self) -> None:
        calls = [(os._exit, (3,)), (operator.add, (1, 1)), (operator.truediv, (1, 0))]
        found = dict(in_parallel(calls, workers=1, threads=1, until=time.monotonic() + 120))
        assert found[1] == 2
        assert "exit code 3" in str(found[0]) and "division by zero" in str(found[2])

    def test_what_is_not_done_in_time_is_given_up(self) -> None:
        calls = [(time.sleep, (600,)), (operator.add, (1, 1))]
        found = dict(in_parallel(calls, workers=1, threads=1, until=time.monotonic() + 0.5))
        assert [str(found[n]) for n in (0, 1)] == ["the time for it was over"] * 2


class TestJournal:
    def test_a_line_cut_off_by_a_kill_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.jsonl"
        journal = Journal(path)
        journal.write("cell", key="one", ratio=1.25)
        journal.write("cell", key="two")
        with path.open("a") as file:
            file.write('{"kind": "cell", "key": "thr')
        assert [line["key"] for line in read(path)] == ["one", "two"]
        assert read(path)[0]["ratio"] == 1.25

    def test_each_line_is_there_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.jsonl"
        journal = Journal(path)
        for number in range(3):
            journal.write("cell", number=number)
            assert len(path.read_text().splitlines()) == number + 1


def test_wheels_are_put_before_what_is_installed(tmp_path: Path) -> None:
    """In a process of its own, and in that one's child."""
    with zipfile.ZipFile(tmp_path / "click-99-py3-none-any.whl", "w") as wheel:
        wheel.writestr("click/__init__.py", "WHERE = 'the wheel'\n")
    (tmp_path / "into").mkdir()
    child = "import click; print(click.WHERE)"
    program = f"""
import subprocess, sys
from pathlib import Path
from benchmarks.gpu.wheels import use_wheels
print(use_wheels(Path({str(tmp_path)!r}), Path({str(tmp_path / "into")!r})))
import click
print(click.WHERE, flush=True)
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['click-99-py3-none-any.whl']", "the wheel", "the wheel"]


def test_no_wheels_change_nothing(tmp_path: Path) -> None:
    before = list(sys.path)
    assert use_wheels(tmp_path, tmp_path) == []
    assert sys.path == before


class TestRatios:
    A, B = [[1.1, 1.2, 1.3]] * 2, [[1.0, 1.0, 1.0]] * 2

    def test_pairs(self) -> None:
        names = ("ln", "un", "folded", "none", "ln, again", "none, again")
        assert ratios.pairs(dict.fromkeys(names)) == [
            ("ln", "folded"),
            ("un", "folded"),
            ("folded", "none"),
            ("ln", "none"),
            ("ln, again", "ln"),
            ("none, again", "none"),
        ]
        assert ratios.pairs({"ln": 0, "none": 0}) == [("ln", "none")]

    def test_an_interval_as_plain_data(self) -> None:
        found, told = ratios.interval(self.A, self.B)
        assert found is not None and told["ratio"] == pytest.approx(1.2)
        assert told["significant"] is True and json.dumps(told)

    def test_without_scipy_there_is_a_ratio_and_no_interval(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(a: object, b: object) -> None:
            raise MissingPackageError("scipy")

        monkeypatch.setattr(ratios, "ratio", missing)
        found, told = ratios.interval(self.A, self.B)
        assert found is None and told["low"] is None and "SciPy" in told["method"]
        assert told["ratio"] == pytest.approx(1.2)


class TestHeatMap:
    def test_a_square_for_each_cell_and_a_panel_for_each_mode(self) -> None:
        cells = [
            {
                "status": "timed",
                "mode": mode,
                "precision": "float16",
                "recognize": True,
                "network": "vit_small",
                "batch": batch,
                "ratios": {"ln / folded": {"ratio": ratio, "significant": ratio > 1.1}},
            }
            for mode, batch, ratio in [("eager", 1, 1.2), ("eager", 32, 1.04), ("compile", 1, 0.9)]
        ]
        cells.append({"status": "left out"})
        drawn = ElementTree.fromstring(heat_map({"cells": cells}))
        texts = {node.text: node.get("fill") for node in drawn.iter() if node.text}
        assert {"eager, float16", "compile, float16", "batch 32"} <= texts.keys()
        assert texts["1.200"] == "black" and texts["1.040"] == texts["0.900"] == "#888888"

    def test_nothing_timed(self) -> None:
        assert "No cell was timed" in heat_map({"cells": []})

    def test_colours(self) -> None:
        assert colour(1.0) == "#ffffff"
        assert colour(1.5) == colour(9.0) == "#64ff64"
        assert colour(0.5) == "#ff6464"
        shades = [int(colour(r)[1:3], 16) for r in np.linspace(1.0, 1.5, 6)]
        assert shades == sorted(shades, reverse=True)
