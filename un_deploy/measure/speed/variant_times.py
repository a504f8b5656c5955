"""The times of a variant, and the ratio of two variants' times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from un_deploy.json_form import SAMPLES
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.speed.variant import TITLES, Kind

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Timed:
    """A variant and its times.

    Attributes:
        kind, form, source, derived, operators, plan_bytes: see `Variant`.
        control: whether it is the second entry of a variant, for the A/A control.
        median_s: seconds of one run, the median over all rounds of all builds.
        percentiles_s: seconds of one run by percentile, "50", "90", "95" and "99", over all rounds
            of all builds. A sample is the mean of some runs, so single runs spread further.
        peak_bytes: that a run holds at once beside weights and inputs, in the memory of what
            computes; None where it cannot be told.
        seconds: of one run, (builds, rounds).
        memory: what `peak_bytes` counts, or why it is None; see
            `un_deploy.runtime.run_memory.RunMemory`.
        warnings, doubts, otherwise, types: what was told of its runs in all builds; see
            `un_deploy.runtime.how_it_ran.HowItRan`.
        sha256: see `Variant`.
    """

    kind: Kind
    form: str
    source: str
    derived: bool
    operators: int | None
    control: bool
    median_s: float
    percentiles_s: Mapping[str, float]
    peak_bytes: int | None
    seconds: tuple[tuple[float, ...], ...] = field(metadata=SAMPLES)
    plan_bytes: int | None = None
    memory: str = ""
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    otherwise: str = ""
    types: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def name(self) -> str:
        """As a table calls it."""
        again = "entered again" if self.control else ""
        return ", ".join(filter(None, (TITLES[self.kind], self.form, again)))


@dataclass(frozen=True)
class Ratio:
    """The time of one variant over that of another.

    Attributes:
        form: of the first, where it has several: the fastest, as those of LN.
        interval: of the ratio; above 1 the first is slower.
        to_form: of the second, alike.
    """

    of: Kind
    to: Kind
    form: str
    interval: Interval
    to_form: str = ""
