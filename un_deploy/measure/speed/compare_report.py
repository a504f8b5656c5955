"""What a comparison says, as data: times, ratios, accuracy, engines; to JSON and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from un_deploy.errors import InputError, ThresholdError
from un_deploy.graph.precision.names import Precision, in_words
from un_deploy.json_form import JsonForm, from_dict, read_object
from un_deploy.measure.speed.accuracy import Accuracy
from un_deploy.measure.speed.conditions import Conditions
from un_deploy.measure.speed.engine_facts import EngineFacts
from un_deploy.measure.speed.layers.variant_layers import VariantLayers
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.speed.variant import TITLES, Kind, StayingNorm, told_staying
from un_deploy.measure.speed.variant_times import Ratio, Timed
from un_deploy.printed import Part, Printed, Table, Words

STEADY = 0.01
"""A machine is steady where the whole interval of the A/A control lies this close to 1."""

#: The version of the JSON form; it rises when a field changes its meaning or goes.
REPORT_VERSION = 2


@dataclass(frozen=True)
class CompareReport(JsonForm, Printed):
    """What was timed and what it says.

    Attributes:
        backend, threads: what ran it; threads None: its own choice.
        device: that computed: "cpu", torch's as torch names it, or the GPU's name; None: a GPU of
            which no driver tells.
        precision: of engines; None where the backend runs the graph as it is.
        tf32: whether products of fp32 might be computed in TF32; None: on a CPU, which has none.
        inputs: the shape of each input.
        timed: the variants, and the control.
        ratios: of variants that ran as they were told to; see `not_comparable`.
        control: the variant entered twice, second entry over first. Its interval holds 1 unless
            chance or the machine had it otherwise.
        missing: variants that there were no files for, and why.
        notes: what the reader must know.
        environment: processor, system, versions, clocks.
        accuracy: of each variant but no norm, which computes something else.
        engines: of each variant, where they were asked for.
        layers: of each variant, where a profile was asked for; of LN those of its fastest form.
        sweep: the same comparison at other batch sizes, without engines and layers.
        runtime: the backend as a reader knows it; of engines with its version.
        date: as it began, in UTC and ISO 8601; "" in reports of before it was kept.
        command: as it was typed; "" of a comparison in Python.
        conditions: what else the machine did meanwhile; None in reports of before it was kept.
        staying: the norms in each variant that measure their input, as far as a graph of it was
            there to look at; empty in reports of before it was kept.
    """

    backend: str
    threads: int | None
    device: str | None
    precision: Precision | None
    inputs: dict[str, tuple[int, ...]]
    timed: tuple[Timed, ...]
    ratios: tuple[Ratio, ...]
    control: Ratio
    missing: dict[str, str]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    accuracy: tuple[Accuracy, ...] = ()
    engines: tuple[EngineFacts, ...] = ()
    layers: tuple[VariantLayers, ...] = ()
    sweep: tuple[CompareReport, ...] = ()
    runtime: str = ""
    tf32: bool | None = None
    version: int = REPORT_VERSION
    date: str = ""
    command: str = ""
    conditions: Conditions | None = None
    staying: dict[Kind, tuple[StayingNorm, ...]] = field(default_factory=dict)

    @property
    def batch(self) -> int | None:
        """The first size of the first input that has one."""
        return next((shape[0] for shape in self.inputs.values() if shape), None)

    def told(self) -> Iterator[Part]:
        """The times, their ratios beside the A/A control, and what the reader must know.

        The page of `un_deploy.report` and `un-deploy compare` have the rest.
        """
        for why in self.unsteady:
            yield Words(f"No figure is to be quoted: {why}.", "bad")
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.inputs.items())
        yield f"{self.runtime or self.backend}, {self.computed_in}; {shapes}"
        times = [(one.name, f"{one.median_s * 1e3:.3f}", one.source) for one in self.timed]
        yield Table(("variant", ">median ms", "from"), times)
        yield from (f"{text}." for text in self.staying_told)
        rows = [
            (
                f"A/A control, {TITLES[one.of]}"
                if one is self.control
                else f"{TITLES[one.of]} over {TITLES[one.to]}",
                f"{one.interval.ratio:.3f}",
                "none"
                if one.interval.too_few
                else f"{one.interval.low:.3f} to {one.interval.high:.3f}",
                ", ".join(self.doubts(one)) or _says(one.interval, steady=not self.unsteady),
            )
            for one in (*self.ratios, self.control)
        ]
        sure = f"{self.control.interval.confidence:.0%} interval"
        yield Table(("time of", ">ratio", sure, "says"), rows)
        for missing, reason in self.missing.items():
            yield Words(f"{missing}: {reason}.", "muted")
        for note in self.notes:
            yield Words(f"Note: {note}.", "muted")

    @property
    def unsteady(self) -> tuple[str, ...]:
        """Why no figure of it is to be quoted; empty where the machine was steady.

        It is of this batch size: those of the sweep have their own.
        """
        few = self.control.interval.too_few
        unknown = (f"nobody knows how steady the machine was: {few}",) if few else ()
        return (*unknown, *self.seen_unsteady)

    @property
    def seen_unsteady(self) -> tuple[str, ...]:
        """What was seen of an unsteady machine; too few builds or rounds show nothing."""
        control = self.control.interval
        found = []
        if not control.too_few and not control.within(STEADY):
            found.append(
                f"the A/A control, {TITLES[self.control.of]} against itself, lies from "
                f"{control.low:.3f} to {control.high:.3f}, not wholly inside {1 - STEADY:g} to "
                f"{1 + STEADY:g}"
            )
        if self.conditions is not None:
            found += self.conditions.unsteady(threads=self.threads, on_gpu=self.device != "cpu")
        return tuple(found)

    @property
    def staying_told(self) -> tuple[str, ...]:
        """Which norms variants are not without, whatever their titles say."""
        return tuple(told_staying(self.staying, {one.kind for one in self.timed}))

    def throughput(self, timed: Timed) -> float:
        """Inputs a second: the batch, or 1 where inputs have no size, over the median time."""
        return (self.batch or 1) / timed.median_s

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """The fields, why it is unsteady, and the inputs a second of each variant."""
        told = {one.name: self.throughput(one) for one in self.timed}
        return {**given, "unsteady": list(self.unsteady), "throughput_per_s": told}

    @property
    def not_comparable(self) -> dict[Kind, str]:
        """What ran otherwise than it was told to, and how: its times are in no ratio."""
        return {one.kind: one.otherwise for one in self.timed if one.otherwise}

    @property
    def computed_in(self) -> str:
        """The precision, as a reader knows it."""
        return in_words(self.precision, self.tf32)

    @property
    def tells_precision(self) -> bool:
        """Whether there is more to say of it than that the graphs have their types."""
        return (self.precision, self.tf32) != (None, None)

    @property
    def judged(self) -> str:
        """Backend and precision, as a gate names what it judged."""
        return f"{self.backend} in {self.computed_in}"

    def doubts(self, ratio: Ratio) -> tuple[str, ...]:
        """What was told against the times in a ratio, such as "LN unstable"."""
        forms = ((ratio.of, ratio.form), (ratio.to, ratio.to_form))
        return tuple(
            dict.fromkeys(
                f"{TITLES[one.kind]} {doubt}"
                for kind, form in forms
                for one in self.timed
                if (one.kind, one.form) == (kind, form)
                for doubt in one.doubts
            )
        )

    def require_comparable(self) -> None:
        """Raise if a variant ran otherwise than it was told to: no ratio is judged then.

        Raises:
            ThresholdError: names the first, and how it ran.
        """
        for kind, otherwise in self.not_comparable.items():
            raise ThresholdError(
                f"{TITLES[kind]} ran {otherwise}: its times compare with no others, so nothing is "
                f"judged of {self.judged}"
            )

    def ratio(self, of: Kind, to: Kind) -> Interval:
        """The interval of a ratio.

        Raises:
            InputError: one of the two was not timed.
        """
        for found in self.ratios:
            if (found.of, found.to) == (of, to):
                return found.interval
        raise InputError(f"{TITLES[of]} over {TITLES[to]} was not measured: one is missing")

    def require_speedup(self, least: float) -> None:
        """Raise unless LN takes at least so many times as long as UN folded, beyond doubt.

        Raises:
            ThresholdError: the lower end of the interval is below `least`; or the machine was
                unsteady, or there is too little for an interval; or see `require_comparable`.
            InputError: LN or UN folded was not timed.
        """
        self.require_comparable()
        found = self.ratio("ln", "folded")
        if self.unsteady:
            why = "; ".join(self.unsteady)
            raise ThresholdError(f"{self.judged}: unsteady, so no speed-up is judged: {why}")
        if not found.low >= least:
            raise ThresholdError(
                f"{self.judged}: UN folded is {found.ratio:.3f}x as fast as LN, at least "
                f"{found.low:.3f}x: {least:g}x is not reached"
            )

    def require_no_regression(self, old: CompareReport) -> None:
        """Raise if a ratio is worse than it was, and both intervals say so.

        Worse is a smaller gain over LN or over UN unfolded, or a larger distance to no norm. Times
        themselves are not compared: another machine, or the same on another day, has others.

        Raises:
            ThresholdError: names the first ratio that is worse; or see `require_comparable`.
            InputError: the old report is of another backend, device or other inputs, or has no
                ratio in common with this one.
        """
        for what in ("backend", "device", "precision", "tf32", "inputs"):
            now, then = getattr(self, what), getattr(old, what)
            if now != then:
                raise InputError(f"the old report has {what} {then}, this one {now}")
        self.require_comparable()
        before = {(one.of, one.to): one.interval for one in old.ratios}
        shared = [one for one in self.ratios if (one.of, one.to) in before]
        if not shared:
            raise InputError("the old report has no ratio in common with this one")
        for one in shared:
            now, then = one.interval, before[one.of, one.to]
            worse = now.low > then.high if one.to == "none" else now.high < then.low
            if worse and "folded" in (one.of, one.to):
                raise ThresholdError(
                    f"{self.judged}: {TITLES[one.of]} over {TITLES[one.to]} was "
                    f"{then.ratio:.3f} [{then.low:.3f}, {then.high:.3f}] "
                    f"and is {now.ratio:.3f} [{now.low:.3f}, {now.high:.3f}]"
                )

    @classmethod
    def read(cls, path: Path) -> CompareReport:
        """Read a file.

        Raises:
            InputError: it cannot be read, or see `from_json`.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error

    @classmethod
    def from_json(cls, text: str, origin: str) -> CompareReport:
        """Read what `to_json` wrote, or the part of it in the report of `un-deploy demo`.

        Raises:
            InputError: it is no such report, or of another version.
        """
        try:
            given = read_object(text)
            given = given.get("comparison", given)
            if given.get("version") == REPORT_VERSION:
                return from_dict(cls, given)
        except (AttributeError, InputError) as error:
            if '"median_s"' in text and '"seconds"' not in text:
                raise InputError(
                    f"{origin} has no samples: take the report that compare -o wrote"
                ) from error
            raise InputError(f"{origin} is no report of a comparison: {error}") from error
        raise InputError(
            f"{origin} is a report of version {given.get('version')}, this un-deploy reads "
            f"{REPORT_VERSION}: compare again"
        )


def _says(interval: Interval, *, steady: bool) -> str:
    if interval.too_few:
        return interval.too_few
    if not steady:
        return "unsteady"
    if not interval.significant:
        return "not significant"
    return "slower" if interval.ratio > 1 else "faster"
