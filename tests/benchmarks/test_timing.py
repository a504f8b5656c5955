"""Samples in shuffled rounds, reloads that share nothing, and captures that keep their weights."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.gpu import measure_cell, running
from benchmarks.gpu.cells import Cell
from benchmarks.gpu.load_cell import load
from benchmarks.gpu.running import Entry, Sample, renew
from benchmarks.gpu.timing import Effort, Times, add_build, settle

pytestmark = pytest.mark.torch


class Recorded:
    """An entry that takes a known time and notes when it was sampled."""

    def __init__(self, name: str, seconds: float, seen: list[str]) -> None:
        self.name, self.seconds, self.seen = name, seconds, seen

    def sample(self, runs: int) -> Sample:
        self.seen.append(f"{self.name} {runs}")
        return Sample(self.seconds, self.seconds, self.seconds / 2)


def rounds(effort: Effort, builds: int = 1) -> tuple[list[list[str]], Times]:
    seen: list[str] = []
    entries = {name: Recorded(name, 1e-3, seen) for name in "abcd"}
    times = Times()
    settle(times, entries, effort)
    found = []
    for _ in range(builds):
        seen.clear()
        add_build(times, entries, effort)
        assert [seen.pop(0)[0] for _ in entries] == [*entries]  # the first run is not timed
        found += [seen[i : i + 4] for i in range(0, len(seen), 4)]
    return found, times


class TestRounds:
    def test_every_round_has_every_entry_once_in_another_order(self) -> None:
        found, times = rounds(Effort(rounds=20))
        assert len(found) == 20
        assert all(sorted(one) == [f"{name} {times.runs}" for name in "abcd"] for one in found)
        assert len({tuple(one) for one in found}) > 10

    def test_the_order_follows_from_the_seed_and_the_build(self) -> None:
        first, _ = rounds(Effort(rounds=5, seed=1), builds=2)
        assert rounds(Effort(rounds=5, seed=1), builds=2)[0] == first
        assert rounds(Effort(rounds=5, seed=2), builds=2)[0] != first
        assert first[:5] != first[5:]

    def test_times_are_by_build_and_round(self) -> None:
        _, times = rounds(Effort(rounds=5), builds=3)
        assert times.builds == 3
        assert times.device["a"] == times.wall["a"] == [[1e-3] * 5] * 3
        assert times.queued["a"] == [[5e-4] * 5] * 3


class TestEffort:
    def test_a_sample_is_long_enough(self) -> None:
        assert rounds(Effort(rounds=2, sample_s=0.0045))[1].runs == 5

    def test_slow_entries_get_fewer_rounds_but_twenty(self) -> None:
        a_round = 4 * 2 * 1e-3  # four entries, two runs
        effort = Effort(builds=5, rounds=30, sample_s=0.002)
        assert rounds(effort)[1].rounds == 30
        tight = Effort(builds=5, rounds=30, sample_s=0.002, cell_s=5 * 25.5 * a_round)
        assert rounds(tight)[1].rounds == 25
        hopeless = Effort(builds=5, rounds=30, sample_s=0.002, cell_s=0.0)
        assert rounds(hopeless)[1].rounds == 20


class Event:
    """What torch.cuda.Event is to `Entry`: four runs between two records took 2 ms."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Event) -> float:
        return 2.0


def test_cuda_events_round_all_runs_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    seen: list[str] = []
    calls = [lambda: seen.append("first"), lambda: seen.append("second")]
    sample = Entry(calls, "cuda").sample(4)
    assert seen == ["first", "second"] * 2  # the sets of input buffers take turns
    assert sample.device == pytest.approx(0.5e-3)
    assert 0 < sample.queued <= sample.wall


class Captured:
    """What CudaGraph is to the suite: it runs once, and replays read what was there then."""

    def __init__(self, call: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
        self.outputs = call(*(tensor.clone() for tensor in inputs))

    def replay(self) -> None:
        pass

    def pool_bytes(self) -> int:
        return 1 << 21


CELL = Cell("vit_micro", 3, "float32", "eager", ("ln", "folded", "none"))


def addresses(entry: Entry) -> set[int]:
    return {tensor.data_ptr() for tensor in entry.holds}


def test_every_capture_has_weights_of_its_own(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CudaGraph", Captured)
    loaded = load(CELL, prepared, "cpu")
    names = CELL.entries()
    with torch.inference_mode():
        builds = [
            measure_cell._entries(names, loaded, "cpu", True, random.Random(n)) for n in range(2)
        ]
    held = [addresses(entry) for made in builds for entry in made.values()]
    assert len(held) == 2 * len(names)
    assert sum(map(len, held)) == len(set().union(*held))  # none is shared
    assert all(len(entry.calls) == 2 for entry in builds[0].values())
    assert {entry.pool_bytes() for entry in builds[0].values()} == {1 << 21}


def test_what_is_not_captured_has_weights_of_its_own_too(prepared: Path) -> None:
    loaded = load(CELL, prepared, "cpu")
    with torch.inference_mode():
        wanted = {name: call(*loaded.inputs)[0] for name, call in loaded.calls.items()}
        made = [measure_cell._entries(CELL.entries(), loaded, "cpu", False, random.Random(0))]
        made += [measure_cell._entries(CELL.entries(), loaded, "cpu", False, random.Random(1))]
        weights = [loaded.modules["ln"], loaded.again["ln, again"]]
        held = [{tensor.data_ptr() for tensor in module.buffers()} for module in weights]
        assert not held[0] & held[1]
        assert loaded.again.keys() == {"ln, again", "none, again"}
        for name, entry in made[1].items():
            assert len(entry.calls) == 2
            for call in entry.calls:
                assert torch.equal(call()[0], wanted[name.removesuffix(", again")])
        loaded.modules["ln"].apply(_spoil)
        assert not made[1]["ln"].calls[0]()[0].isfinite().any()
        assert made[1]["ln, again"].calls[0]()[0].isfinite().all()


def _spoil(module: torch.nn.Module) -> None:
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.fill_(float("nan"))


def test_renewing_keeps_values_layouts_and_what_is_shared() -> None:
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    graph = torch.fx.Graph()
    a, b, turned = map(graph.get_attr, ("a", "b", "turned"))
    graph.output(
        graph.call_function(torch.matmul, (graph.call_function(torch.add, (a, b)), turned))
    )
    module = torch.fx.GraphModule({"a": weight, "b": weight, "turned": weight.t()}, graph)
    before = dict(module.named_buffers(remove_duplicate=False))
    renew(module, "cpu")
    after = dict(module.named_buffers(remove_duplicate=False))
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) and after[name].stride() == tensor.stride()
        assert after[name].data_ptr() != tensor.data_ptr()
    assert after["a"] is after["b"] and after["turned"].stride() == (1, 4)
