"""Puts figures into plain sentences that claim no more than their intervals carry."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.layers.variant_layers import VariantLayers
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.speed.variant import TITLES, Kind
from un_deploy.measure.speed.variant_times import Ratio, Timed

EQUAL = 0.02
"""Folded is called equal to no norm where the whole interval lies this close to 1."""


AGAIN = "Run it again while nothing else uses the machine: more builds help only then."
"""What to do where the machine was unsteady."""

NO_INTERVAL = "no interval"
"""Stands where an interval would, had there been builds and rounds enough."""


def variant(kind: Kind, form: str = "") -> str:
    """What tables and sentences call a variant."""
    return f"{TITLES[kind]}, {form}" if form else TITLES[kind]


def pair(ratio: Ratio, between: str = " / ") -> str:
    """What is divided by what, each in the form that counts; a form of both is told once."""
    if ratio.form and ratio.form == ratio.to_form:
        return f"{TITLES[ratio.of]}{between}{TITLES[ratio.to]}, both {ratio.form}"
    return f"{variant(ratio.of, ratio.form)}{between}{variant(ratio.to, ratio.to_form)}"


def numbers(interval: Interval) -> tuple[str, str, str]:
    """Ratio, low and high with three decimals, or as many as show on which side of 1 they lie."""
    given = (interval.ratio, interval.low, interval.high)
    for digits in range(3, 7):
        shown = [f"{value:.{digits}f}" for value in given]
        if not interval.significant or not float(shown[1]) <= 1 <= float(shown[2]):
            break
    return shown[0], shown[1], shown[2]


def shown(interval: Interval) -> str:
    """A ratio, and its interval in parentheses."""
    value, *_ = numbers(interval)
    return f"{value}, {NO_INTERVAL}" if interval.too_few else f"{value} ({span(interval)})"


def span(interval: Interval) -> str:
    """An interval as its two ends; where there is too little for one, that there is none."""
    if interval.too_few:
        return NO_INTERVAL
    _, low, high = numbers(interval)
    return f"{low} to {high}"


def percent(share: float) -> str:
    """A share in per cent, with a space that does not break."""
    return f"{100 * share:.4g}\N{NO-BREAK SPACE}%"


def verdict(ratio: Ratio, *, steady: bool) -> str:
    """Who is slower, or that nobody can say; of an unsteady machine nothing is said."""
    interval = ratio.interval
    if interval.too_few:
        return few(interval)
    if not steady:
        return "unsteady"
    if not interval.significant:
        return "not significant"
    return f"{TITLES[ratio.of]} is {'slower' if interval.ratio > 1 else 'faster'}"


def few(interval: Interval) -> str:
    """What there is too little of, where there is."""
    return "too few rounds" if interval.builds == 1 else "too few builds"


def claim(ratio: Ratio) -> str:
    """What a ratio says, in one or two sentences that begin with the answer, in lower case."""
    interval = ratio.interval
    of, to = TITLES[ratio.of], TITLES[ratio.to]
    value, *_ = numbers(interval)
    sure = f"{percent(interval.confidence)} interval {span(interval)}"
    if interval.too_few:
        return f"not told; {interval.too_few}. Measured ratio of {of} over {to}: {value}."
    if not interval.significant:
        return (
            f"not significant; {_builds(interval)} not tell {of} and {to} apart. "
            f"Measured ratio {value}, {sure}."
        )
    if interval.ratio > 1:
        return f"{to} is faster than {of}: {of} takes {value} times as long ({sure})."
    return f"{to} is slower than {of}: {of} takes only {value} times as long ({sure})."


def limit(ratio: Ratio) -> str:
    """How near UN folded comes to no norm, which is all that removing norms can give."""
    if ratio.interval.within(EQUAL):
        return (
            f"UN folded and no norm are equal within {percent(EQUAL)}: the whole "
            f"{percent(ratio.interval.confidence)} interval of their ratio lies from "
            f"{span(ratio.interval)}."
        )
    return f"{sentence(claim(ratio))} That they are equal within {percent(EQUAL)} is not shown."


def unsteady(report: CompareReport) -> list[str]:
    """Why figures are not to be quoted, at every batch size, in sentences."""
    points = (report, *report.sweep)
    said = [(f"at {point(one)} the machine was unsteady: ", one) for one in points]
    return [
        sentence(f"{at if report.sweep else ''}{text}.")
        for at, one in said
        for text in one.unsteady
    ]


def again(report: CompareReport) -> str:
    """What to do where figures are not to be quoted."""
    points = [one for one in (report, *report.sweep) if one.unsteady]
    intervals = [one.control.interval for one in points if not one.seen_unsteady]
    if not points or len(intervals) < len(points):
        return AGAIN
    rounds = "rounds or " if any(one.builds == 1 for one in intervals) else ""
    return f"Run it again with as many {rounds}builds as it takes."


def found(report: CompareReport, of: Kind, to: Kind) -> Ratio | None:
    """The ratio, where both were timed."""
    return next((one for one in report.ratios if (one.of, one.to) == (of, to)), None)


def warned(report: CompareReport) -> list[tuple[str, str]]:
    """What was warned of, by the name of the variant, at all batch sizes; each once."""
    said = []
    for point in (report, *report.sweep):
        runs: tuple[Timed | VariantLayers, ...] = (*point.timed, *point.layers)
        for timed in runs:
            said += [(variant(timed.kind, timed.form), text) for text in timed.warnings]
    for engine in report.engines:
        name = f"the engine of {variant(engine.kind, engine.form)}"
        said += [(name, text) for text in engine.warnings]
    return [*dict.fromkeys((name, " ".join(text.split())) for name, text in said)]


def types(report: CompareReport) -> list[tuple[str, str]]:
    """Of how many products engines show the type, by the names of the variants, at all sizes."""
    told: dict[str, dict[str, None]] = {}
    for point in (report, *report.sweep):
        for timed in point.timed:
            for text in timed.types:
                told.setdefault(text, {})[variant(timed.kind, timed.form)] = None
    for engine in report.engines:
        for text in engine.types:
            told.setdefault(text, {})[f"the engine of {variant(engine.kind, engine.form)}"] = None
    return [(", ".join(names), text) for text, names in told.items()]


def size(count: int) -> str:
    """Bytes in the unit that suits, with three significant digits."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}"


def once(texts: Iterable[str]) -> str:
    """All texts in one, each of them once."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


def rate(per_second: float) -> str:
    """Inputs a second, with four figures or all that lie in front of the point."""
    digits = max(0, 3 - floor(log10(per_second)))
    return f"{per_second:,.{digits}f}"


def decimals(report: CompareReport) -> int:
    """Decimals of a millisecond: three, or as many as show four figures of the least median."""
    least = 1e3 * min(one.median_s for one in report.timed)
    return max(3, 3 - floor(log10(least)))


def point(report: CompareReport) -> str:
    """What tells one measurement of a sweep from the others."""
    if report.batch is None:
        return "no inputs with a size"
    return f"batch {report.batch}"


def sentence(text: str) -> str:
    """The text, begun with a capital letter."""
    return text[:1].upper() + text[1:]


def _builds(interval: Interval) -> str:
    if interval.builds == 1:
        return "one build does"
    return f"these {interval.builds} builds do"
