"""Samples are taken in turn, in an order that favours nobody."""

from __future__ import annotations

import gc

import pytest

from un_deploy.measure.speed.timing import interleaved, loading_orders, reloads
from un_deploy.runtime.protocol import Timer


class Clock:
    """Timers that tell what they were asked for, and take as long as they are told."""

    def __init__(self, **seconds: float) -> None:
        self.calls: list[tuple[str, int]] = []
        self.collecting: list[bool] = []
        self.timers = {name: self._timer(name, each) for name, each in seconds.items()}

    def _timer(self, name: str, each: float):
        def timer(runs: int) -> float:
            self.calls.append((name, runs))
            self.collecting.append(gc.isenabled())
            return runs * each

        return timer


@pytest.mark.parametrize("reverse", [False, True])
def test_every_other_round_goes_backwards_and_each_begins_in_turn(reverse: bool) -> None:
    clock = Clock(a=0.001, b=0.002, c=0.003)
    interleaved(clock.timers, rounds=7, sample_s=0.01, reverse=reverse)
    order = "".join(name for name, _ in clock.calls[2 * 3 :])
    rounds = ["abc", "cba", "bca", "acb", "cab", "bac", "abc"]
    if reverse:
        rounds = [round_[::-1] for round_ in rounds]
    assert order == "".join(rounds)


def test_all_run_as_often_and_the_fastest_decides_how_often() -> None:
    clock = Clock(slow=0.004, fast=0.001)
    seconds = interleaved(clock.timers, rounds=4, sample_s=0.0099)
    assert {runs for _, runs in clock.calls[2 * 2 :]} == {10}
    assert seconds["slow"] == pytest.approx([0.004] * 4)
    assert seconds["fast"] == pytest.approx([0.001] * 4)


def test_a_run_longer_than_a_sample_is_timed_once() -> None:
    clock = Clock(only=3.0)
    assert interleaved(clock.timers, rounds=2, sample_s=0.01) == {"only": [3.0, 3.0]}


def test_nothing_is_collected_while_samples_are_taken() -> None:
    clock = Clock(a=0.01)
    interleaved(clock.timers, rounds=2, sample_s=0.01)
    assert clock.collecting == [True, True, False, False]
    assert gc.isenabled()


def test_every_build_begins_to_load_with_another_entry_and_every_other_goes_backwards() -> None:
    orders = [("".join(order), reverse) for order, reverse in loading_orders("abc", 5)]
    assert orders == [("abc", False), ("bca", True), ("cab", False), ("cba", True), ("acb", False)]


def test_a_build_may_be_a_reload_in_one_process() -> None:
    clock = Clock(a=0.001, b=0.002)
    loaded: list[str] = []

    def load(name: str) -> Timer:
        loaded.append(name)
        return clock.timers[name]

    seconds = reloads(load, ["a", "b"], builds=3, rounds=4, sample_s=0.01)
    assert loaded == ["a", "b", "b", "a", "b", "a"]
    assert {name: times.shape for name, times in seconds.items()} == {"a": (3, 4), "b": (3, 4)}
    assert seconds["b"] == pytest.approx(2 * seconds["a"])
