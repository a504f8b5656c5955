"""The queue: what has ended is not run again, one that fails does not hold up the others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.tasks import queue
from benchmarks.tasks.jobs import JOBS, Job

A, B, C = (Job(f"runs/{name}.jsonl", ("a.module", name, "{out}/runs")) for name in "abc")


def end(out: Path, job: Job, event: str = "end") -> None:
    log = out / job.log
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(json.dumps({"event": "start"}) + "\n" + json.dumps({"event": event}) + "\n")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The arguments of what was started; every run but b ends."""
    calls: list[str] = []

    def start(command: list[str], check: bool) -> SimpleNamespace:
        assert command[1] == "-m" and not check
        calls.append(" ".join(command[2:]))
        for job in (A, C):
            if f" {Path(job.log).stem} " in calls[-1]:
                end(tmp_path, job)
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(queue.subprocess, "run", start)
    return calls


def test_what_has_not_ended_is_run_in_order(tmp_path: Path, started: list[str]) -> None:
    end(tmp_path, A)
    end(tmp_path, C, "epoch")
    assert queue.run((A, B, C), tmp_path) == [B]
    assert started == [f"a.module b {tmp_path}/runs", f"a.module c {tmp_path}/runs"]
    assert queue.run((A, C), tmp_path) == [] and len(started) == 2


def test_only_logs_that_have_ended_are_collected(tmp_path: Path) -> None:
    end(tmp_path / "out", A)
    end(tmp_path / "out", B, "epoch")
    assert queue.collect((A, B, C), tmp_path / "out", tmp_path / "results") == [
        tmp_path / "results/runs/a.jsonl"
    ]
    copied = (tmp_path / "results/runs/a.jsonl").read_text()
    assert copied == (tmp_path / "out/runs/a.jsonl").read_text()
    assert not (tmp_path / "results/runs/b.jsonl").exists()


def test_the_protocols_runs_are_all_there_once() -> None:
    logs = [job.log for job in JOBS]
    assert len(set(logs)) == len(logs)
    trainings = [log for log in logs if log.startswith("fashion_mnist/vit_micro")]
    assert trainings[:4] == [
        *(f"fashion_mnist/vit_micro_{norm}_seed0.jsonl" for norm in ("dyt", "derf", "un-scaled")),
        "fashion_mnist/vit_micro_dyt_seed1.jsonl",
    ]
    assert len(trainings) == 5 * 3 + 3 + 2 * 2
    assert sum(log.startswith("fashion_mnist/folded/") for log in logs) == 15
    assert sum(log.startswith("translation/nmt_") for log in logs) == 3 * 3 + 3
    assert sum(log.startswith("translation/judged/") for log in logs) == 3 * 3 + 3
    assert {"fashion_mnist/swin_micro_ln_seed0.jsonl", "translation/bfloat16.jsonl"} <= {*logs}


def test_commands_take_what_they_are_given(tmp_path: Path) -> None:
    """Every command's options are those of its module."""
    (tmp_path / "translation" / "data").mkdir(parents=True)
    pytest.importorskip("torch")
    from benchmarks.tasks import folded_accuracy
    from benchmarks.translation import bfloat16, judge
    from benchmarks.translation import train as translation
    from models.fashion_mnist import train

    modules = {
        module.__name__: module.main
        for module in (train, translation, judge, bfloat16, folded_accuracy)
    }
    for job in JOBS:
        module, *arguments = (part.format(out=tmp_path) for part in job.command)
        held = {str(one) for one in modules[module].make_context(module, arguments).params.values()}
        given = {one for one in arguments if not one.startswith("--")}
        assert given <= held, job.command
