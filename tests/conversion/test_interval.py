"""The interval of a mean promises its upper end where hardly a sample changed, too."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.conversion.interval import (  # noqa: E402
    FEW,
    few_changed,
    least_shown,
    mean_interval,
    samples_to_show,
)
from un_deploy.quantiles import student_factor  # noqa: E402

pytestmark = pytest.mark.torch


def changes(samples: int, worse: int, better: int = 0) -> torch.Tensor:
    """Of 0/1 scores: 1 for each sample that got worse, -1 for each that got better."""
    lost = torch.zeros(samples, dtype=torch.float64)
    lost[:worse] = 1.0
    lost[worse : worse + better] = -1.0
    return lost


def test_of_no_change_at_all() -> None:
    """20 samples, none changed: x = t * sqrt(x / 20), with t(0.975, 19) = 2.093024."""
    reach = 2.093024**2 / 20
    assert mean_interval(changes(20, 0), 1.0) == pytest.approx((-reach, reach), rel=1e-6)
    assert least_shown(20, 100.0) == pytest.approx(100 * reach, rel=1e-6)


@pytest.mark.parametrize("samples", [2, 5, 20, 300, 5000])
def test_of_none_it_reaches_beyond_the_exact_bound(samples: int) -> None:
    """Clopper and Pearson's, of 97.5 % to one side: the p with (1 - p)^n = 0.025."""
    assert least_shown(samples, 1.0) >= -math.expm1(math.log(0.025) / samples)
    assert least_shown(samples, 1.0) <= 1.0


def test_of_few_changes_to_both_sides() -> None:
    """Each end solves (u - m)^2 = t^2 (V + |u - m|) / n, with m = 2 / 300, V = 4 / 300."""
    middle, square, t = 2 / 300, 4 / 300, student_factor(299, 0.95)
    for end in mean_interval(changes(300, 3, 1), 1.0):
        x = abs(end - middle)
        assert x**2 == pytest.approx(t**2 * (square + x) / 300, rel=1e-9)


def test_no_mean_is_beyond_the_largest_change() -> None:
    assert mean_interval(changes(3, 1), 1.0) == (-1.0, 1.0)
    assert mean_interval(changes(3, 0), math.inf) == (-math.inf, math.inf)


def test_of_many_changes_it_is_student() -> None:
    lost = changes(5000, 64, 53)
    half = student_factor(4999, 0.95) * float(lost.std()) / math.sqrt(5000)
    assert mean_interval(lost, 1.0) == pytest.approx((11 / 5000 - half, 11 / 5000 + half))


@pytest.mark.parametrize("samples", [3, 20])
def test_where_most_changed_it_is_student_however_few_they_are(samples: int) -> None:
    values = torch.linspace(1.0, 2.0, samples, dtype=torch.float64)
    assert not few_changed(values)
    low, high = mean_interval(values, 1e9)
    half = student_factor(samples - 1, 0.95) * float(values.std()) / math.sqrt(samples)
    assert (low, high) == pytest.approx((1.5 - half, 1.5 + half))


def test_one_value_has_none() -> None:
    assert mean_interval(torch.ones(1, dtype=torch.float64), 1.0) is None


def test_how_many_samples_it_takes() -> None:
    assert samples_to_show(0.001, 1.0) == 3844
    assert least_shown(3844, 1.0) <= 0.001 < least_shown(3843, 1.0)
    assert samples_to_show(2.0, 1.0) == 2


def upper_ends(samples: int) -> list[float]:
    """By how many got worse and none better."""
    found = [mean_interval(changes(samples, worse), 1.0) for worse in range(samples + 1)]
    return [high for _, high in filter(None, found)]


@pytest.mark.parametrize("samples", [5, 20, 60, 300, 1000])
def test_the_upper_end_is_kept_whatever_the_loss_is(samples: int) -> None:
    """Exactly, where samples only get worse: no draw, the sum over all numbers of them."""
    ends = np.array(upper_ends(samples))
    ways = [math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
            for k in range(samples + 1)]  # fmt: skip
    counts = np.arange(samples + 1)
    for loss in np.concatenate([np.geomspace(1e-4, 0.2, 100), np.linspace(0.2, 0.99, 80)]):
        chances = np.exp(ways + counts * np.log(loss) + (samples - counts) * np.log1p(-loss))
        assert chances[ends >= loss].sum() >= 0.95, loss


@pytest.mark.parametrize(("samples", "worse", "better"), [
    (20, 0.02, 0.0), (20, 0.1, 0.05), (300, 0.005, 0.0), (300, 0.02, 0.01), (1000, 0.014, 0.0),
    (1000, 0.05, 0.03),
])  # fmt: skip
def test_the_upper_end_is_kept_in_draws(samples: int, worse: float, better: float) -> None:
    """2,000 draws of 0/1 scores; by chance their share is 0.015 lower at most (3 deviations)."""
    drawn = np.random.default_rng(0).multinomial(samples, [worse, better, 1 - worse - better], 2000)
    kinds, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    kept = 0
    for (down, up), count in zip(kinds, counts, strict=True):
        _, high = mean_interval(changes(samples, int(down), int(up)), 1.0)
        kept += int(count) * (high >= worse - better)
    assert kept / 2000 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_students_t_alone_would_not_keep_it() -> None:
    """What the bound is for: 20 samples and a loss of 1.4 points, as it once passed at 0.1."""
    drawn = np.random.default_rng(0).binomial(20, 0.014, 2000)
    half = [student_factor(19, 0.95) * float(changes(20, int(k)).std()) / math.sqrt(20)
            for k in range(21)]  # fmt: skip
    assert np.mean([k / 20 + half[k] >= 0.014 for k in drawn]) < 0.3
    assert min(upper_ends(20)) >= 0.014 and FEW > 1
