"""Student's t, without SciPy."""

from __future__ import annotations

import math

import pytest

from un_deploy.quantiles import student_factor


def inside(t: float, degrees: int) -> float:
    """P(|T| < t), in its finite form (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    terms, term = [], 1.0 if degrees % 2 == 0 else cosine
    for k in range(2 if degrees % 2 == 0 else 3, degrees + 1, 2):
        terms.append(term)
        term *= cosine**2 * (k - 1) / k
    if degrees % 2 == 0:
        return sine * math.fsum(terms)
    return 2 / math.pi * (angle + sine * math.fsum(terms))


CONFIDENCES = (0.01, 0.12345, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_quantiles_of_student_of_one_two_and_four_degrees(confidence: float) -> None:
    """Their closed forms."""
    outside = (1 - confidence) * (1 + confidence)
    four = math.cos(math.acos(math.sqrt(outside)) / 3) / math.sqrt(outside)
    expected = {
        1: math.tan(math.pi / 2 * confidence),
        2: confidence * math.sqrt(2 / outside),
        4: 2 * math.sqrt(four - 1),
    }
    for degrees, t in expected.items():
        assert student_factor(degrees, confidence) == pytest.approx(t, rel=1e-12)


@pytest.mark.parametrize("degrees", [*range(1, 41), 99, 100, 1000])
def test_as_much_lies_inside_a_quantile_as_was_asked_for(degrees: int) -> None:
    for confidence in CONFIDENCES:
        t = student_factor(degrees, confidence)
        assert inside(t, degrees) == pytest.approx(confidence, rel=1e-12)


def test_quantiles_of_student_as_they_are_published() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: 0.99, 0.975, 0.9 of one side."""
    table = {3: (4.541, 3.182, 1.638), 10: (2.764, 2.228, 1.372), 100: (2.364, 1.984, 1.290)}
    for degrees, published in table.items():
        found = [round(student_factor(degrees, c), 3) for c in (0.98, 0.95, 0.8)]
        assert found == list(published)
