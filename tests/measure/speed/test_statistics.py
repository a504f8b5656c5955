"""The ratio of two times: worked examples, and what its interval promises, by simulation."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support.rejected_estimators import inside_one_control, pooled_bootstrap
from tests.support.scenarios import ROUNDS, SCENARIOS, SPREADS, simulate
from un_deploy.errors import InputError
from un_deploy.measure.speed.statistics import Interval, ratio

EPS = float(np.finfo(np.float64).eps)
LOG_ERROR = 16 * EPS  # logarithms here are below 4, and a few of them are added

MOST_FALSE = 0.05
LEAST_FOUND = 0.95


def both(
    scenario: str, spread: float, true: float = 1.0, *, fixed_order: bool = False
) -> np.ndarray:
    """Times of two variants whose true ratio is given, shape (2, runs, builds, rounds)."""
    return simulate(scenario, spread=spread, ratios=(true, 1.0), fixed_order=fixed_order)


def intervals(times: np.ndarray) -> list[Interval]:
    return [ratio(a, b) for a, b in zip(*times, strict=True)]


def share_significant(found: list[Interval]) -> float:
    return float(np.mean([interval.significant for interval in found]))


def share_significant_bootstrap(times: np.ndarray) -> float:
    low, high = pooled_bootstrap(*times)
    return float(np.mean((low > 1) | (high < 1)))


# --- by hand


def test_student_by_hand() -> None:
    """Medians of the logarithm 0.01, 0.03, 0.02, 0.04, 0.05; each build has one wild round."""
    medians = np.array([0.01, 0.03, 0.02, 0.04, 0.05])
    b = np.full((5, 3), 2e-3)
    a = b * np.exp(medians[:, None] + [-0.001, 0, 0.7])
    found = ratio(a, b)
    # mean 0.03, standard deviation sqrt(0.001 / 4), t(0.99, 4 degrees of freedom) = 3.746947
    half = 3.746947 * math.sqrt(0.001 / 4) / math.sqrt(5)
    assert math.log(found.ratio) == pytest.approx(0.03, abs=LOG_ERROR)
    assert math.log(found.low) == pytest.approx(0.03 - half, abs=1e-8)  # the table's digits
    assert math.log(found.high) == pytest.approx(0.03 + half, abs=1e-8)
    assert (found.builds, found.rounds) == (5, 3)
    assert (found.confidence, found.attained) == (0.98, 0.98)
    assert found.method == "Student's t over 5 builds"
    assert found.significant


def test_two_builds_need_a_factor_of_31() -> None:
    """t(0.99, 1 degree of freedom) = 31.82052: two builds say next to nothing."""
    a = np.exp([[0.1, 0.1], [0.12, 0.12]])
    found = ratio(a, np.ones((2, 2)))
    assert math.log(found.high) == pytest.approx(0.11 + 31.82052 * 0.01, abs=1e-7)
    assert not found.significant


def test_one_build_of_20_rounds_by_hand() -> None:
    """5th and 16th of 20: P(Binomial(20, 1/2) <= 4) = 6196 / 2^20, and <= 5 is beyond 1 %."""
    logs = np.random.default_rng(0).permutation(np.arange(1, 21)) / 100
    found = ratio(np.exp(logs)[None], np.ones((1, 20)))
    assert math.log(found.low) == pytest.approx(0.05, abs=LOG_ERROR)
    assert math.log(found.ratio) == pytest.approx(0.105, abs=LOG_ERROR)
    assert math.log(found.high) == pytest.approx(0.16, abs=LOG_ERROR)
    assert found.attained == pytest.approx(1 - 2 * 6196 / 2**20, abs=4 * EPS)  # 98.8 %
    assert found.method == "binomial interval of the median, one build"
    assert found.significant


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.98, 0.99])
def test_ranks_of_one_build_are_the_narrowest_that_reach_the_confidence(confidence: float) -> None:
    for rounds in range(8, 60):
        found = ratio(np.exp(np.arange(rounds))[None], np.ones((1, rounds)), confidence=confidence)
        k = round(math.log(found.low)) + 1
        assert round(math.log(found.high)) + 1 == rounds + 1 - k
        reached = [_two_sided(rounds, rank) for rank in (k, k + 1)]
        assert found.attained == pytest.approx(float(reached[0]), abs=16 * EPS)
        assert reached[0] >= confidence > reached[1]


def _two_sided(rounds: int, rank: int) -> Fraction:
    """Probability that the median lies between the rank-th smallest and largest, exactly."""
    return 1 - 2 * Fraction(sum(math.comb(rounds, j) for j in range(rank)), 2**rounds)


def test_one_build_of_too_few_rounds_says_so_and_decides_nothing() -> None:
    """6 rounds reach 1 - 2 / 2^6 at most; all of them said 10 % slower."""
    logs = np.array([[0.10, 0.11, 0.09, 0.12, 0.08, 0.10]])
    found = ratio(np.exp(logs), np.ones_like(logs))
    assert math.log(found.low) == pytest.approx(0.08, abs=LOG_ERROR)
    assert math.log(found.high) == pytest.approx(0.12, abs=LOG_ERROR)
    assert (found.confidence, found.attained) == (0.98, 1 - 2 / 2**6)
    assert found.method == (
        "binomial interval of the median, one build, 96.9% at most with 6 rounds"
    )
    assert not found.significant
    assert not found.within(0.5)
    assert ratio(np.exp(logs), np.ones_like(logs), confidence=0.95).significant


# --- what any times must satisfy


def random_times(builds: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(builds)
    a, b = np.exp(0.1 * rng.standard_normal((2, builds, ROUNDS)))
    return a, b


@pytest.mark.parametrize("builds", [1, 5])
def test_exchanging_the_two_inverts_the_ratio(builds: int) -> None:
    a, b = random_times(builds)
    there, back = ratio(a, b), ratio(b, a)
    assert [back.ratio, back.low, back.high] == pytest.approx(
        [1 / there.ratio, 1 / there.high, 1 / there.low], rel=LOG_ERROR
    )


@pytest.mark.parametrize("builds", [1, 5])
def test_what_slows_both_in_a_round_cancels_and_the_unit_does_not_matter(builds: int) -> None:
    a, b = random_times(builds)
    slow = np.exp(np.random.default_rng(9).uniform(0, 3, a.shape))
    plain, slowed = ratio(a, b), ratio(a * slow * 1e3, b * slow * 1e3)
    assert [slowed.ratio, slowed.low, slowed.high] == pytest.approx(
        [plain.ratio, plain.low, plain.high],
        rel=16 * LOG_ERROR,  # logarithms up to 10
    )


@pytest.mark.parametrize("builds", [1, 5])
def test_equal_times_are_equal(builds: int) -> None:
    a, _ = random_times(builds)
    found = ratio(a, a)
    assert (found.low, found.ratio, found.high) == (1.0, 1.0, 1.0)
    assert not found.significant
    assert found.within(0)


@pytest.mark.parametrize("builds", [1, 2, 5])
def test_more_confidence_is_a_wider_interval(builds: int) -> None:
    a, b = random_times(builds)
    widths = [
        (found := ratio(a, b, confidence=confidence)).high - found.low
        for confidence in (0.5, 0.9, 0.98, 0.999)
    ]
    assert widths == sorted(set(widths))


def test_lists_do_as_well() -> None:
    assert ratio([[1, 2], [1, 2]], [[2, 4], [2, 4]]).ratio == pytest.approx(0.5, rel=LOG_ERROR)


def interval(low: float, high: float) -> Interval:
    return Interval(
        ratio=(low * high) ** 0.5,
        low=low,
        high=high,
        builds=5,
        rounds=20,
        confidence=0.98,
        method="",
        attained=0.98,
    )


def test_significant_and_within_are_different_questions() -> None:
    answers = {
        (low, high): (interval(low, high).significant, interval(low, high).within(0.02))
        for low, high in [(0.99, 1.01), (0.9, 1.1), (1.005, 1.015), (1.05, 1.15), (0.97, 1.01)]
    }
    assert answers == {
        (0.99, 1.01): (False, True),  # equal within 2 %
        (0.9, 1.1): (False, False),  # nothing is known
        (1.005, 1.015): (True, True),  # different, by less than 2 %
        (1.05, 1.15): (True, False),  # different
        (0.97, 1.01): (False, False),  # may be 3 % faster
    }


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.1), (0.9, 1.0)])
def test_an_interval_that_touches_1_is_not_significant(low: float, high: float) -> None:
    assert not interval(low, high).significant


# --- refusals


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.ones((5, 20)), np.ones((5, 19)), r"a have shape \(5, 20\), those of b \(5, 19\)"),
        (np.ones((5, 20)), np.ones((1, 20)), r"a have shape \(5, 20\), those of b \(1, 20\)"),
        (np.ones(20), np.ones(20), r"times of a have shape \(20,\): give \(builds, rounds\)"),
        (np.ones((5, 0)), np.ones((5, 0)), r"times of a have shape \(5, 0\)"),
        (np.ones((0, 20)), np.ones((0, 20)), r"times of a have shape \(0, 20\)"),
        (np.ones((5, 1)), np.ones((5, 1)), r"\(5, 1\): .* at least one build of two rounds"),
        ([[1.0, 2.0], [1.0]], np.ones((2, 2)), "a are no table of numbers: give every build"),
        ([["fast", "slow"]], np.ones((1, 2)), "a are no table of numbers"),
        ([[1.0, 0.0]], np.ones((1, 2)), "a took 0.0 in build 0, round 1"),
        ([[1.0, 2.0], [-3.0, 2.0]], np.ones((2, 2)), "a took -3.0 in build 1, round 0"),
        (np.ones((1, 2)), [[math.nan, 1.0]], "b took nan in build 0, round 0"),
        (np.ones((1, 2)), [[1.0, math.inf]], "b took inf in build 0, round 1"),
    ],
)
def test_refuses_what_are_no_paired_times(a: object, b: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ratio(a, b)


@pytest.mark.parametrize("confidence", [0, 1, 98, -0.5, math.nan])
def test_refuses_a_confidence_outside_0_and_1(confidence: float) -> None:
    with pytest.raises(InputError, match=f"confidence is {confidence}, it must lie between 0 and"):
        ratio(np.ones((5, 20)), np.ones((5, 20)), confidence=confidence)


def test_no_code_loads_scipy() -> None:
    root = Path(__file__).parents[3]
    for folder in ("un_deploy", "benchmarks", "models", "tests"):
        for path in (root / folder).rglob("*.py"):
            found = re.search(r"^\s*(from|import) scipy", path.read_text(), re.MULTILINE)
            assert found is None, path


# --- what is promised: 2,000 runs of 5 builds of 20 rounds, in alternating order

spreads = pytest.mark.parametrize("spread", SPREADS, ids=["builds alike", "builds 1 % apart"])
scenarios = pytest.mark.parametrize("scenario", SCENARIOS)


@scenarios
@spreads
def test_equal_variants_are_rarely_told_apart(scenario: str, spread: float) -> None:
    false = share_significant(intervals(both(scenario, spread)))
    assert 0 < false <= MOST_FALSE  # at none at all the interval would be needlessly wide


@scenarios
@spreads
def test_ten_percent_are_found_and_covered(scenario: str, spread: float) -> None:
    found = intervals(both(scenario, spread, 1.10))
    assert np.mean([i.significant and i.ratio > 1 for i in found]) >= LEAST_FOUND
    assert np.mean([i.low <= 1.10 <= i.high for i in found]) >= 1 - MOST_FALSE


@scenarios
def test_a_bootstrap_pooled_over_all_rounds_fails_where_builds_differ(scenario: str) -> None:
    assert share_significant_bootstrap(both(scenario, 0.01)) > 3 * MOST_FALSE


@scenarios
def test_one_build_keeps_its_promise_for_itself_and_not_for_others(scenario: str) -> None:
    alike, differ = (
        share_significant([ratio(a[:1], b[:1]) for a, b in zip(*both(scenario, s), strict=True)])
        for s in SPREADS
    )
    assert alike <= MOST_FALSE
    assert differ > 2 * MOST_FALSE


@pytest.mark.parametrize("scenario", ["drift", "drift, heavy tails"])
def test_a_fixed_order_takes_drift_for_a_difference(scenario: str) -> None:
    fixed = both(scenario, 0, fixed_order=True)
    alternating = both(scenario, 0)
    assert share_significant(intervals(fixed)) > MOST_FALSE
    assert share_significant_bootstrap(fixed) > 4 * share_significant_bootstrap(alternating)
    # 30 % over the 40 samples of a build: the second of two is later by one of 39 steps
    bias = [np.median(np.log(a / b), axis=-1).mean() for a, b in (fixed, alternating)]
    # a median over 20 rounds is off by 0.8 % or so, and 10,000 builds are averaged
    assert bias == pytest.approx([-math.log(1.3) / 39, 0], abs=5 * 0.008 / 100)


@scenarios
def test_farther_than_one_control_rejects_equal_variants_half_the_time(scenario: str) -> None:
    a, again, b = simulate(scenario, spread=0.01, ratios=(1.0, 1.0, 1.0))
    assert np.mean(inside_one_control(a, again, b)) == pytest.approx(0.5, abs=0.06)
