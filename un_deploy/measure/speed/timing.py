"""Times several things in turn, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from un_deploy.runtime.protocol import Timer


def interleaved(
    timers: Mapping[str, Timer], *, rounds: int, sample_s: float, reverse: bool = False
) -> dict[str, list[float]]:
    """Time all in every round.

    Every other round goes backwards, so that a machine that slows down favours nobody. What ends
    a round so begins the next and finds its own data in the cache; therefore another begins after
    every pair of rounds, and all are favoured alike.

    Args:
        timers: by name.
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
