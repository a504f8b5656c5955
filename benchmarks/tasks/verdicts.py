"""The difference between two norms, paired by seed, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from un_deploy.quantiles import student_factor

CONFIDENCE = 0.95

Runs = Mapping[int, float]
"""A score by seed; higher is better."""


@dataclass(frozen=True)
class Difference:
    """Of the first's scores to the second's, over the seeds that both have.

    Attributes:
        seeds: how many.
        mean: of first - second.
        sd: standard deviation of the differences; None below two seeds.
        low, high: the 95 % interval of the mean by Student's t; None below two seeds.
    """

    seeds: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None

    def verdict(self, margin: float) -> str:
        """Is the first as good as the second?

        "worse" where the interval lies wholly below 0, "as good" where it lies wholly above
        -margin, and else "not shown".
        """
        if self.low is None or self.high is None:
            return "not shown"
        if self.high < 0:
            return "worse"
        return "as good" if self.low > -margin else "not shown"

    def turned(self) -> Difference:
        """Of the second to the first."""
        if self.low is None or self.high is None:
            return Difference(self.seeds, -self.mean)
        return Difference(self.seeds, -self.mean, self.sd, -self.high, -self.low)


def difference(first: Runs, second: Runs) -> Difference | None:
    """Paired by seed; None where no seed is in both."""
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return None
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    mean = float(differences.mean())
    if len(seeds) == 1:
        return Difference(1, mean)
    sd = float(differences.std(ddof=1))
    half = student_factor(len(seeds) - 1, CONFIDENCE) * sd / len(seeds) ** 0.5
    return Difference(len(seeds), mean, sd, mean - half, mean + half)


def each_pair(runs: Mapping[str, Runs]) -> dict[tuple[str, str], Difference | None]:
    """Every two of the norms once, in the order given."""
    return {(a, b): difference(runs[a], runs[b]) for a, b in combinations(runs, 2)}
