"""Times entries in turn, in an order shuffled from round to round, over several reloads."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.gpu.running import Sample
from un_deploy.measure.speed.timing import no_collection

FEWEST_ROUNDS = 20


class Timed(Protocol):
    """What can be timed."""

    def sample(self, runs: int) -> Sample:
        """Time that many runs, one right after the other."""
        ...


@dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
        builds: reloads: new copies of weights and inputs, new captures. They share one process.
        rounds: of each build.
        sample_s: seconds that a sample of the fastest entry takes at least.
        cell_s: seconds for the samples of a cell; where they would take longer there are fewer
            rounds, but not fewer than 20 (or `rounds`).
        seed: of the order.
    """

    builds: int = 5
    rounds: int = 30
    sample_s: float = 0.002
    cell_s: float = 6.0
    seed: int = 0


@dataclass
class Times:
    """Samples by entry, one list of rounds for each build."""

    runs: int = 0
    rounds: int = 0
    device: dict[str, list[list[float]]] = field(default_factory=dict)
    wall: dict[str, list[list[float]]] = field(default_factory=dict)
    queued: dict[str, list[list[float]]] = field(default_factory=dict)

    @property
    def builds(self) -> int:
        return min((len(found) for found in self.device.values()), default=0)


def settle(times: Times, entries: Mapping[str, Timed], effort: Effort) -> None:
    """Choose runs in a sample and rounds, alike for all entries and builds."""
    seconds = {name: _once(one, effort.sample_s) for name, one in entries.items()}
    times.runs = max(1, math.ceil(effort.sample_s / max(min(seconds.values()), 1e-9)))
    a_round = sum(seconds.values()) * times.runs
    fits = int(effort.cell_s / effort.builds / max(a_round, 1e-9))
    times.rounds = min(effort.rounds, max(min(FEWEST_ROUNDS, effort.rounds), fits))


def add_build(times: Times, entries: Mapping[str, Timed], effort: Effort) -> None:
    """Time one build's entries in shuffled rounds."""
    order = random.Random(f"{effort.seed} {times.builds}")
    rounds: list[dict[str, Sample]] = []
    for one in entries.values():
        one.sample(times.runs)  # whatever is made at the first run is not timed
    with no_collection():
        for _ in range(times.rounds):
            names = order.sample(list(entries), len(entries))
            rounds.append({name: entries[name].sample(times.runs) for name in names})
    for name in entries:
        times.device.setdefault(name, []).append([found[name].device for found in rounds])
        times.wall.setdefault(name, []).append([found[name].wall for found in rounds])
        times.queued.setdefault(name, []).append([found[name].queued for found in rounds])


def _once(one: Timed, sample_s: float) -> float:
    """About how long a run takes, after a while of warming up."""
    start, found = time.perf_counter(), one.sample(1).wall
    while time.perf_counter() - start < 2 * sample_s:
        found = min(found, one.sample(1).wall)
    return min(found, one.sample(max(1, int(sample_s / max(found, 1e-9)))).wall)
