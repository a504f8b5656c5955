"""The interval of a mean over samples of which perhaps only a few changed."""

from __future__ import annotations

import math

from torch import Tensor

from un_deploy.quantiles import share_bound, student_factor

Interval = tuple[float, float]

FEW = 30
"""Changed samples below which Student's t is not believed. Where 0/1 scores only get worse, the
upper end lies below the true loss in less than 5 % of all draws with 30, with 10 in up to 6 %."""


def few_changed(changes: Tensor) -> bool:
    """Whether so few samples changed, and not most of them, that their spread says little.

    Args:
        changes: of each sample, (samples,); 0 where nothing changed.
    """
    changed = int((changes != 0).sum())
    return changed < FEW and 2 * changed <= len(changes)


def mean_interval(values: Tensor, size: float, changes: Tensor | None = None) -> Interval | None:
    """The 95 % interval of a mean, from its values; None for fewer than two.

    It is Student's t. Where few samples changed, it reaches at least to where the mean would be if
    as many got worse, each by `size`, as Clopper and Pearson's exact bound of 97.5 % allows for the
    number that did; and down to the same of those that got better.

    Args:
        values: (samples,), float64.
        size: of the largest change that a sample can have.
        changes: of each sample, above 0 where it got worse, 0 where nothing changed; the values
            themselves if None.
    """
    samples = len(values)
    if samples < 2:
        return None
    changes = values if changes is None else changes
    middle = float(values.mean())
    half = student_factor(samples - 1, 0.95) * float(values.std()) / math.sqrt(samples)
    low, high = middle - half, middle + half
    if few_changed(changes):
        worse, better = int((changes > 0).sum()), int((changes < 0).sum())
        high = max(high, share_bound(worse, samples) * size)
        low = min(low, -share_bound(better, samples) * size)
    return low, high


def least_shown(samples: int, size: float) -> float:
    """The least loss that can be shown: the upper end where not one sample changed.

    Args:
        samples: at least 1.
        size: of the largest change that a sample can have.
    """
    return share_bound(0, samples) * size


def samples_to_show(loss: float, size: float) -> int:
    """How many samples could show so small a loss, if not one of them changed.

    Args:
        loss: above 0.
        size: of the largest change that a sample can have.
    """
    return 1 if loss >= size else math.ceil(math.log(0.025) / math.log1p(-loss / size))
