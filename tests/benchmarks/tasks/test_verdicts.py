"""What may be said of two norms, by made scores."""

from __future__ import annotations

import pytest

from benchmarks.tasks.verdicts import Difference, difference, each_pair


def test_a_difference_is_paired_by_seed() -> None:
    found = difference({0: 88.0, 1: 89.0, 2: 90.0, 7: 1.0}, {0: 87.0, 1: 87.0, 2: 87.0})
    assert found is not None and found.seeds == 3
    assert (found.mean, found.sd) == (2, 1)
    half = 4.302653 / 3**0.5  # Student's t, 2 degrees of freedom, 95 %
    assert found.low == pytest.approx(2 - half, abs=1e-5)
    assert found.high == pytest.approx(2 + half, abs=1e-5)


def test_equal_differences_have_no_width() -> None:
    found = difference({0: 3.0, 1: 5.0}, {0: 2.0, 1: 4.0})
    assert found == Difference(2, 1.0, 0.0, 1.0, 1.0)


def test_one_seed_says_nothing_and_none_still_less() -> None:
    assert difference({0: 3.0}, {0: 1.0}) == Difference(1, 2.0)
    assert difference({0: 3.0}, {0: 1.0}).verdict(0.3) == "not shown"
    assert difference({0: 3.0}, {0: 1.0}).turned() == Difference(1, -2.0)
    assert difference({0: 3.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.9, "as good"),
        (-0.29, 0.9, "as good"),
        (-0.3, 0.9, "not shown"),  # the whole interval has to lie above
        (-2.0, 3.0, "not shown"),
        (-2.0, 0.0, "not shown"),
        (-2.0, -0.01, "worse"),
        (-0.2, -0.1, "worse"),  # within the margin, and still shown to be below
    ],
)
def test_a_verdict_needs_the_whole_interval(low: float, high: float, verdict: str) -> None:
    assert Difference(5, (low + high) / 2, 1.0, low, high).verdict(0.3) == verdict


def test_turned_it_asks_of_the_second() -> None:
    found = Difference(5, -1.0, 0.2, -1.2, -0.8)
    assert found.verdict(0.3) == "worse"
    assert found.turned() == Difference(5, 1.0, 0.2, 0.8, 1.2)
    assert found.turned().verdict(0.3) == "as good"


def test_every_pair_once() -> None:
    runs = {"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 1.0}, "c": {}}
    found = each_pair(runs)
    assert [*found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"].mean == 0.5 and found["a", "c"] is None
