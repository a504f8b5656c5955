"""Times several things in turn, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from un_deploy.runtime.protocol import Timer

T = TypeVar("T")


def interleaved(
    timers: Mapping[str, Timer], *, rounds: int, sample_s: float, reverse: bool = False
) -> dict[str, list[float]]:
    """Time all in every round.

    Every other round goes backwards, so that a machine that slows down favours nobody. What ends
    a round so begins the next and finds its own data in the cache; therefore another begins after
    every pair of rounds, and all are favoured alike.

    Args:
        rounds: samples of each, at least 1.
        sample_s: seconds a sample should take at least; the number of runs in a sample follows
            from the fastest, and is the same for all.
        reverse: begin with the reversed order.

    Returns:
        Seconds of one run, by name, one number a round.
    """
    for timer in timers.values():
        timer(1)  # whatever is made at the first run is not timed
    fastest = min(timer(1) for timer in timers.values())
    runs = max(1, math.ceil(sample_s / max(fastest, 1e-9)))
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    with no_collection():
        for number in range(rounds):
            begin = number // 2 % len(timers)
            order = [*timers][begin:] + [*timers][:begin]
            for name in order if (number % 2 == 0) != reverse else reversed(order):
                seconds[name].append(timers[name](runs) / runs)
    return seconds


def loading_orders(entries: Sequence[T], builds: int) -> Iterator[tuple[tuple[T, ...], bool]]:
    """In which order each build loads what is timed, and whether its rounds begin backwards.

    Every build begins to load with another entry, since where an entry's weights come to lie
    changes its time: of five copies of BERT-base in one process, loaded in the same order every
    time, the third was 5 to 8 % slower than the fourth in 12 builds of 12.
    """
    for number in range(builds):
        first = number % len(entries)
        order = (*entries[first:], *entries[:first])
        if number // len(entries) % 2:  # what was loaded before it is another entry then
            order = order[::-1]
        yield order, number % 2 == 1


def reloads(
    load: Callable[[str], Timer], names: Sequence[str], *, builds: int, rounds: int, sample_s: float
) -> dict[str, np.ndarray]:
    """Time builds that are reloads in this process, where a process for each would take too long.

    What varies from process to process is not in these times. Each build loads what has a name
    anew, and is one call of `interleaved`.

    Returns:
        Seconds of one run, by name, (builds, rounds).
    """
    seconds: dict[str, list[list[float]]] = {name: [] for name in names}
    for order, reverse in loading_orders(names, builds):
        found = interleaved(
            {name: load(name) for name in order}, rounds=rounds, sample_s=sample_s, reverse=reverse
        )
        for name in names:
            seconds[name].append(found[name])
    return {name: np.array(found) for name, found in seconds.items()}


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage is collected meanwhile."""
    was = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
