"""One build: what is loaded, what is refused, and that it can be a process of its own."""

from __future__ import annotations

import gc
import json
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from weakref import WeakSet

import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.errors import InputError
from un_deploy.json_form import from_dict
from un_deploy.measure.speed import timing_process as module
from un_deploy.measure.speed.timing_process import (
    Entry,
    Job,
    read_memory,
    read_told,
    run_builds,
    run_in_process_of_its_own,
    run_job,
)
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime, OnnxSession
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.settings import RunSettings

pytest.importorskip("onnxruntime")

LINEAR = """
<ir_version: 8, opset_import: ["": 20]>
g (float[n, 4] x) => (float[n, 4] y) <float[4] w = {1, -2, 3, 4}> { y = OP }
"""
X = np.array([[-1, 1, 2, 3]], np.float32)


def save(folder: Path, name: str, operator: str) -> str:
    ir.save(ir.from_onnx_text(LINEAR.replace("OP", operator)), folder / f"{name}.onnx")
    return str(folder / f"{name}.onnx")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    np.savez(tmp_path / "inputs.npz", x=X)
    entries = tuple(
        Entry(name, save(tmp_path, name, operator))
        for name, operator in (("times", "Mul(x, w)"), ("plus", "Add(x, w)"))
    )
    return Job(
        settings=RunSettings("ort-cpu", threads=1),
        entries=entries,
        inputs=str(tmp_path / "inputs.npz"),
        rounds=3,
        sample_s=1e-4,
    )


def test_what_sessions_tell_is_gathered_over_builds(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second build warns of another thing, and its graph is not captured."""
    said = iter([HowItRan(("a",)), HowItRan(("a",)), HowItRan(("b",), (), "so"), HowItRan(("a",))])

    class Telling(OnnxSession):  # its own class: isinstance remembers what a class has
        def how_it_ran(self) -> HowItRan:
            return next(said)

    def load_file(*given: object) -> OnnxSession:
        session = real(*given)
        session.__class__ = Telling
        return session

    real = module.load_file
    monkeypatch.setattr(module, "load_file", load_file)
    ran = tmp_path / "ran.json"
    run_builds(replace(job, ran=str(ran)), 2, tmp_path, run=lambda one, folder: run_job(one))
    assert read_told(ran) == {  # each build begins to load with another entry
        "times": HowItRan(("a",)),
        "plus": HowItRan(("a", "b"), (), "so"),
    }
    assert read_told(tmp_path / "none.json") == {}


@pytest.mark.parametrize("backend", ["ort-cpu", "torch"])
def test_every_entry_has_a_time_for_every_round(job: Job, backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    seconds = run_job(replace(job, settings=RunSettings(backend, threads=1)))
    assert list(seconds) == ["times", "plus"]
    assert all(len(found) == 3 and min(found) > 0 for found in seconds.values())


def test_a_process_of_its_own_gives_the_same(job: Job, tmp_path: Path) -> None:
    seconds = run_in_process_of_its_own(job, tmp_path)
    assert {name: len(found) for name, found in seconds.items()} == {"times": 3, "plus": 3}


def test_its_refusal_arrives_as_one(job: Job, tmp_path: Path) -> None:
    bad = Entry("division", save(tmp_path, "division", "Div(w, x)"))
    np.savez(tmp_path / "inputs.npz", x=0 * X)
    job = replace(job, entries=(*job.entries, bad))
    with pytest.raises(InputError, match=r"^division: output y is not finite on these inputs$"):
        run_in_process_of_its_own(job, tmp_path)


def test_entries_in_which_torch_recognises_other_things_are_not_compared(
    job: Job, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    gelu = Entry("gelu", save(tmp_path, "gelu", "Gelu(x)"))
    with pytest.raises(InputError, match=r"1 gelu in gelu, but .*0 gelu in times"):
        run_job(replace(job, settings=RunSettings("torch"), entries=(*job.entries, gelu)))


def test_a_job_survives_json(job: Job) -> None:
    assert from_dict(Job, json.loads(json.dumps(asdict(job)))) == job


def test_every_entry_is_loaded_at_every_place_once(job: Job, tmp_path: Path) -> None:
    """Where an entry's weights come to lie depends on what was loaded before."""
    many = replace(job, entries=tuple(Entry(name, "model") for name in "abcde"))
    orders: list[str] = []

    def run(one: Job, folder: Path) -> module.Seconds:
        orders.append("".join(entry.name for entry in one.entries))
        return {entry.name: [float(ord(entry.name))] * 3 for entry in one.entries}

    seconds = run_builds(many, 10, tmp_path, run=run)
    for five in (orders[:5], orders[5:]):
        assert [set(place) for place in zip(*five, strict=True)] == [set("abcde")] * 5
    behind = {pair for order in orders for pair in pairwise(order)}
    assert {("a", "b"), ("b", "a")} <= behind
    assert [*seconds] == list("abcde")
    assert all((seconds[name] == ord(name)).all() for name in "abcde")


def test_memory_is_told_in_the_first_build_alone(job: Job, tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    asked: list[str | None] = []

    def run(one: Job, folder: Path) -> module.Seconds:
        asked.append(one.memory)
        return run_job(one)

    run_builds(replace(job, memory=str(file)), 2, tmp_path, run=run)
    assert asked == [str(file), None]
    found = read_memory(file)
    assert {name: told.bytes for name, told in found.items()} == dict.fromkeys(
        ("times", "plus"),
        X.nbytes,  # the output; the input is not counted
    )


def test_memory_is_looked_at_after_the_times(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def timed(timers: dict, **_: object) -> module.Seconds:
        order.append("times")
        return {name: [1.0] for name in timers}

    def refused(session: OnnxSession, feeds: dict) -> RunMemory:
        order.append("memory")
        raise InputError("the profile is in no known form")

    monkeypatch.setattr(module, "interleaved", timed)
    monkeypatch.setattr(OnnxSession, "run_memory", refused)
    run_job(replace(job, memory=str(tmp_path / "memory.json")))
    assert order == ["times", "memory", "memory"]
    found = read_memory(tmp_path / "memory.json")["plus"]
    assert (found.bytes, found.what) == (None, "the profile is in no known form")


def test_nothing_timed_is_held_beside_what_is_loaded_for_its_memory(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    opens, engines = OnnxRuntime.open, WeakSet[object]()

    def counted(runtime: OnnxRuntime, *given: Path) -> object:
        gc.collect()
        held.append(len(engines))
        engine = opens(runtime, *given)
        engines.add(engine)
        return engine

    monkeypatch.setattr(OnnxRuntime, "open", counted)
    run_job(replace(job, memory=str(tmp_path / "memory.json")))
    assert held == [0, 1, 0, 0]  # two to be timed, then each alone


def test_without_a_file_memory_is_not_measured(job: Job, tmp_path: Path) -> None:
    run_job(job)
    assert read_memory(tmp_path / "memory.json") == {}
