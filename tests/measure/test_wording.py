"""What a ratio says in plain words: never more than its interval carries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from un_deploy.measure import wording
from un_deploy.measure.speed.statistics import Interval, ratio
from un_deploy.measure.speed.variant import Kind
from un_deploy.measure.speed.variant_times import Ratio


def made(ratio: float, low: float, high: float, of: Kind = "ln", to: Kind = "folded") -> Ratio:
    interval = Interval(ratio, low, high, 5, 20, 0.98, "Student's t over 5 builds", 0.98)
    return Ratio(of, to, "", interval)


def test_a_pair_names_the_forms_that_count_and_one_form_of_both_once() -> None:
    one = made(1.2, 1.1, 1.3)
    forms = {("", ""): "LN / UN folded", ("fast", ""): "LN, fast / UN folded"}
    forms |= {("fast", "fast"): "LN / UN folded, both fast", ("", "fast"): "LN / UN folded, fast"}
    for (form, to_form), name in forms.items():
        assert wording.pair(replace(one, form=form, to_form=to_form)) == name


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_faster_by_how_much_and_how_surely() -> None:
    assert plain(wording.claim(made(1.0523, 1.0412, 1.0634))) == (
        "UN folded is faster than LN: LN takes 1.052 times as long (98 % interval 1.041 to 1.063)."
    )


def test_slower() -> None:
    assert plain(wording.claim(made(0.9512, 0.9401, 0.9623))) == (
        "UN folded is slower than LN: LN takes only 0.951 times as long "
        "(98 % interval 0.940 to 0.962)."
    )


@pytest.mark.parametrize("interval", [(1.3, 0.99, 1.7), (0.9, 0.7, 1.02), (1.0, 1.0, 1.0)])
def test_an_interval_that_holds_1_claims_nothing(interval: tuple[float, float, float]) -> None:
    ratio = made(*interval)
    said = wording.claim(ratio)
    assert said.startswith("not significant; these 5 builds do not tell LN and UN folded apart")
    assert "faster" not in said and "slower" not in said
    assert wording.verdict(ratio, steady=True) == "not significant"


def test_too_few_rounds_claim_nothing_wherever_the_interval_lies() -> None:
    made_ = made(1.5, 1.4, 1.6)
    few = replace(made_, interval=replace(made_.interval, builds=1, rounds=4, attained=0.875))
    assert plain(wording.claim(few)) == (
        "not told; 4 rounds of one build are too few for an interval: it takes 7 rounds, or 3 "
        "builds or more (5 are the default). Measured ratio of LN over UN folded: 1.500."
    )
    assert wording.verdict(few, steady=False) == "too few rounds"
    assert wording.span(few.interval) == "no interval"


@pytest.mark.parametrize(
    ("builds", "rounds", "enough"),
    [(1, 6, False), (1, 7, True), (2, 4, False), (2, 500, False), (3, 4, True), (5, 20, True)],
)
def test_from_how_many_builds_on_an_interval_is_told(
    builds: int, rounds: int, enough: bool
) -> None:
    drawn = np.exp(0.001 * np.random.default_rng(0).standard_normal((builds, rounds)))
    interval = ratio(1.5 * drawn, np.ones((builds, rounds)))
    assert (interval.too_few == "") == enough == interval.significant
    assert (" to " in wording.span(interval)) == enough
    near = ratio(drawn, np.ones((builds, rounds)))
    assert near.within(0.5) == enough


def test_one_build_is_called_one() -> None:
    ratio = made(1.1, 0.9, 1.2)
    one = replace(ratio, interval=replace(ratio.interval, builds=1))
    assert "one build does not tell" in wording.claim(one)


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ((1.0006, 1.0004, 1.0009), ("1.0006", "1.0004", "1.0009")),
        ((0.9990, 0.9983, 0.9997), ("0.9990", "0.9983", "0.9997")),
        ((1.0006, 0.9996, 1.0017), ("1.001", "1.000", "1.002")),
        ((1.052, 1.041, 1.063), ("1.052", "1.041", "1.063")),
    ],
)
def test_rounding_never_hides_on_which_side_of_1_an_interval_lies(
    interval: tuple[float, float, float], shown: tuple[str, str, str]
) -> None:
    assert wording.numbers(made(*interval).interval) == shown


def test_equal_is_said_only_where_the_whole_interval_is_near_1() -> None:
    near = plain(wording.limit(made(1.004, 0.985, 1.018, "folded", "none")))
    assert near.startswith("UN folded and no norm are equal within 2 %")
    far = plain(wording.limit(made(1.004, 0.985, 1.021, "folded", "none")))
    assert far.startswith("Not significant") and far.endswith("equal within 2 % is not shown.")
    slower = plain(wording.limit(made(1.05, 1.03, 1.07, "folded", "none")))
    assert slower.startswith("No norm is faster than UN folded: UN folded takes 1.050 times")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (2_036_004, "1.94 MiB"), (412_868, "403 KiB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert wording.size(count) == shown
