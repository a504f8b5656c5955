"""Ways to compare two times that promise more than they keep, for tests that show it.

Both take times of shape (runs, builds, rounds) and decide for all runs at once.
"""

from __future__ import annotations

import numpy as np

RESAMPLES = 1_000


def pooled_bootstrap(
    a: np.ndarray, b: np.ndarray, *, confidence: float = 0.98, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap of the median ratio over all rounds of all builds: low and high.

    The median of a resample is the mean of the two values in the middle of it; which ranks these
    have depends on the resampling only. So the ranks are drawn once and serve all runs.
    """
    logs = np.sort(np.log(a / b).reshape(len(a), -1), axis=1)
    size = logs.shape[1]
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.integers(size, size=(RESAMPLES, size)), axis=1)
    medians = (logs[:, drawn[:, (size - 1) // 2]] + logs[:, drawn[:, size // 2]]) / 2
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, (tail, 1 - tail), axis=1)
    return np.exp(low), np.exp(high)


def inside_one_control(a: np.ndarray, again: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether b is farther from a than a second entry of a is, and so would be called different.

    Args:
        a, again: the same variant, entered twice.
        b: the other.
    """

    def distance(one: np.ndarray) -> np.ndarray:
        return np.abs(np.median(np.log(one / a), axis=-1).mean(axis=-1))

    return distance(b) > distance(again)
