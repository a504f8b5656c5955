"""The ratio of two variants' times, with an interval that errs no more often than it says.

The builds are the sample. Rounds of one process share its memory layout, its tuning choices and
the machine's mood, so they say how that process ran; only independent builds say how the variant
runs. docs/how-we-compare.md has the simulation that chose this estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from un_deploy.errors import InputError
from un_deploy.json_form import JsonForm
from un_deploy.quantiles import student_factor

CONFIDENCE = 0.98

LEAST_BUILDS = 3
"""Builds of which an interval says something: of two it reaches 32 standard errors to each side at
98 %, of three 7, of five 4."""

USUAL_BUILDS = 5


@dataclass(frozen=True)
class Interval(JsonForm):
    """A ratio of two times, and where it may lie.

    Attributes:
        ratio: time of the first over time of the second; above 1 the first is slower.
        low, high: the interval's ends, low <= ratio <= high.
        builds, rounds: how many builds it rests on, and rounds in each.
        confidence: the nominal one, for example 0.98.
        method: how the interval was made, to be shown beside it.
        attained: what the interval reaches: at least `confidence`, or less where one build has
            too few rounds for it.
    """

    ratio: float
    low: float
    high: float
    builds: int
    rounds: int
    confidence: float
    method: str
    attained: float

    @property
    def too_few(self) -> str:
        """What there is too little of for an interval that says something, and what it takes.

        "" where there is enough: several builds, or the rounds of one, which speak for that alone.
        """
        several = f"{LEAST_BUILDS} builds or more ({USUAL_BUILDS} are the default)"
        if self.builds == 1 and self.attained < self.confidence:
            least = 1 + ceil(-log2(1 - self.confidence))
            return (
                f"{self.rounds} rounds of one build are too few for an interval: it takes {least} "
                f"rounds, or {several}"
            )
        if 1 < self.builds < LEAST_BUILDS:
            return f"{self.builds} builds are too few for an interval: it takes {several}"
        return ""

    @property
    def significant(self) -> bool:
        """The two differ: 1 lies outside, and there is enough for an interval."""
        return not self.too_few and not self.low <= 1 <= self.high

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """The fields, and whether it is significant."""
        return {**given, "significant": self.significant}

    def within(self, share: float) -> bool:
        """The two are equal but for `share`: the whole interval lies in [1 - share, 1 + share].

        Never true where there is too little for an interval.
        """
        return not self.too_few and 1 - share <= self.low and self.high <= 1 + share


def ratio(a: ArrayLike, b: ArrayLike, *, confidence: float = CONFIDENCE) -> Interval:
    """The ratio a / b of two variants' times.

    Each build gives one number, the median over its rounds of log(a / b). With two builds or more
    the interval is Student's t over these numbers; the ratio is their mean. With one build it is
    the exact binomial interval of the median over the rounds, from order statistics, which treats
    the rounds as independent and says nothing of other builds. Both are exponentiated.

    Args:
        a, b: times, shape (builds, rounds), in seconds or any other unit they share. Entry
            [i, j] of both comes from the same round, so that what the machine did then cancels.
        confidence: of the two-sided interval, between 0 and 1.

    Raises:
        InputError: the shapes differ or are not (builds, rounds), there is no build or fewer than
            two rounds, a time is not finite and above 0, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise InputError(f"the confidence is {confidence}, it must lie between 0 and 1")
    first, second = _times("a", a), _times("b", b)
    if first.shape != second.shape:
        raise InputError(
            f"the times of a have shape {first.shape}, those of b {second.shape}: measure both in "
            "every round of every build"
        )
    logs = np.log(first) - np.log(second)
    builds, rounds = logs.shape
    if builds == 1:
        middle, low, high, attained, method = _binomial(logs[0], confidence)
    else:
        middle, low, high, attained, method = _student(np.median(logs, axis=1), confidence)
    return Interval(
        ratio=float(np.exp(middle)),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        builds=builds,
        rounds=rounds,
        confidence=confidence,
        method=method,
        attained=attained,
    )


def _times(name: str, given: ArrayLike) -> np.ndarray:
    """Times as float64, refused where they are none."""
    try:
        times = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the times of {name} are no table of numbers: give every build the same rounds"
        ) from error
    if times.ndim != 2 or times.shape[0] < 1 or times.shape[1] < 2:
        raise InputError(
            f"the times of {name} have shape {times.shape}: give (builds, rounds), at least one "
            "build of two rounds"
        )
    wrong = ~(np.isfinite(times) & (times > 0))
    if wrong.any():
        build, round_ = np.argwhere(wrong)[0]
        raise InputError(
            f"{name} took {times[build, round_]} in build {build}, round {round_}: a time is "
            "finite and above 0; measure again, with more work in a round"
        )
    return times


def _student(medians: np.ndarray, confidence: float) -> tuple[float, float, float, float, str]:
    """Student's t interval of the mean of independent numbers: mean, low, high, and its label."""
    builds = len(medians)
    mean = float(medians.mean())
    half = student_factor(builds - 1, confidence) * float(medians.std(ddof=1)) / builds**0.5
    return mean, mean - half, mean + half, confidence, f"Student's t over {builds} builds"


def _binomial(values: np.ndarray, confidence: float) -> tuple[float, float, float, float, str]:
    """Distribution-free interval of the median: median, low, high, and its label.

    With n values in order, [x_(k), x_(n + 1 - k)] misses the median with probability
    2 P(Binomial(n, 1/2) < k) (H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition,
    section 7.1); k is the largest for which that is at most 1 - confidence.
    """
    ordered = np.sort(values)
    k, attained = _rank(len(ordered), confidence)
    method = "binomial interval of the median, one build"
    if attained < confidence:
        method += f", {attained:.1%} at most with {len(ordered)} rounds"
    return float(np.median(ordered)), float(ordered[k - 1]), float(ordered[-k]), attained, method


@cache
def _rank(rounds: int, confidence: float) -> tuple[int, float]:
    """The rank k, from 1, of the lower end, and the confidence that it attains."""
    most = (1 - Fraction(confidence)) * 2**rounds / 2
    ways, below, k = 1, 0, 0  # of k heads; of fewer
    while k == 0 or below + ways <= most:
        below, k = below + ways, k + 1
        ways = ways * (rounds - k + 1) // k
    return k, float(1 - Fraction(2 * below, 2**rounds))
