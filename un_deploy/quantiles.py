"""Quantiles that intervals rest on: Student's t, and the exact bound of a share."""

from __future__ import annotations

import math
from functools import cache

import mpmath


@cache
def student_factor(degrees: int, confidence: float) -> float:
    """How many standard errors Student's t interval reaches to each side of the mean.

    That t beyond which, to both sides, 1 - confidence of the distribution lies: with x = degrees /
    (degrees + t^2) the regularized incomplete beta function I_x(degrees / 2, 1 / 2) (M. Abramowitz
    and I. A. Stegun, Handbook of Mathematical Functions, 26.7.1). Right of 0 the distribution is
    concave, so that Newton's steps from 0 rise to t and never beyond it.

    Args:
        degrees: of freedom, at least 1.
        confidence: of the two-sided interval, between 0 and 1.
    """
    with mpmath.workdps(30):
        nu, t, step = mpmath.mpf(degrees), mpmath.mpf(0), mpmath.mpf(1)
        height = 2 / (mpmath.sqrt(nu) * mpmath.beta(nu / 2, 0.5))  # of both sides, at 0
        while step > 1e-20 * t:
            x = nu / (nu + t * t)
            outside = mpmath.betainc(nu / 2, 0.5, 0, x, regularized=True)
            step = (outside - (1 - mpmath.mpf(confidence))) / (height * x ** ((nu + 1) / 2))
            t += step
        return float(t)


@cache
def share_bound(found: int, samples: int, confidence: float = 0.975) -> float:
    """The upper end of a share of which some were found: exact, to one side.

    The largest share p at which that few would still be found with probability 1 - confidence:
    P(Binomial(samples, p) <= found) = 1 - confidence (C. J. Clopper and E. S. Pearson, "The use of
    confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934).
    Whatever the share is, the bound lies below it in at most 1 - confidence of all draws.

    Args:
        found: of the samples, 0 to `samples`.
        samples: at least 1.
        confidence: of the one side, between 0 and 1.

    Returns:
        0 to 1; 1 where all were found.
    """
    if found >= samples:
        return 1.0
    low, high = found / samples, 1.0
    ways = [
        math.lgamma(samples + 1) - math.lgamma(k + 1) - math.lgamma(samples - k + 1)
        for k in range(found + 1)
    ]
    while low < (middle := (low + high) / 2) < high:
        logs = math.log(middle), math.log1p(-middle)
        as_few = math.fsum(
            math.exp(way + k * logs[0] + (samples - k) * logs[1]) for k, way in enumerate(ways)
        )
        low, high = (middle, high) if as_few > 1 - confidence else (low, middle)
    return high
