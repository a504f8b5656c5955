"""Student's t, which intervals rest on."""

from __future__ import annotations

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
