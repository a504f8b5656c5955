"""Compares the times of LN, UN unfolded, UN folded and no norm, so that the figures can be trusted.

Everything that could favour one side is shared: the rounds, the inputs, the process, the runtime
and its settings. The folded graph is entered twice; what the two differ by is what this machine
makes of equal things (the A/A control). Layer Normalization is entered in every form in which the
runtime can have it, and the fastest counts; that it is picked by the same samples favours LN.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from un_deploy.errors import InputError, ThresholdError
from un_deploy.measure.environment import environment
from un_deploy.measure.job import Entry, Job, Seconds, run_builds, run_in_process_of_its_own
from un_deploy.measure.statistics import Interval, ratio
from un_deploy.runtime.backends import Backend
from un_deploy.runtime.onnxruntime import Fusions
from un_deploy.runtime.protocol import Feeds

Kind = Literal["ln", "unfolded", "folded", "none"]

TITLES: dict[Kind, str] = {
    "ln": "LN",
    "unfolded": "UN unfolded",
    "folded": "UN folded",
    "none": "no norm",
}

COMPARED: tuple[tuple[Kind, Kind], ...] = (
    ("ln", "folded"),
    ("unfolded", "folded"),
    ("ln", "unfolded"),
    ("folded", "none"),
)
"""Which times are divided by which."""

TWICE: tuple[Kind, ...] = ("folded", "unfolded", "ln", "none")
"""The first of these that is there is entered twice."""

#: The version of the JSON form; it rises when a field changes its meaning or goes.
REPORT_VERSION = 1


@dataclass(frozen=True)
class Variant:
    """One form of a network to be timed.

    Attributes:
        kind: what it is.
        model: the ONNX file.
        source: where it comes from, for the reader: a file, a spec, or what it was derived from.
        derived: whether un-deploy made it from another variant.
        operators: in its graph.
        form: what tells it from others of its kind.
        fusions: of ONNX Runtime.
    """

    kind: Kind
    model: str
    source: str
    derived: bool
    operators: int
    form: str = ""
    fusions: Fusions = "all"

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.form}" if self.form else self.kind


@dataclass(frozen=True)
class Timed:
    """A variant and its times.

    Attributes:
        kind, form, source, derived, operators: see `Variant`.
        control: whether it is the second entry of a variant, for the A/A control.
        median_s: seconds of one run, the median over all rounds of all builds.
        seconds: of one run, (builds, rounds).
    """

    kind: Kind
    form: str
    source: str
    derived: bool
    operators: int
    control: bool
    median_s: float
    seconds: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Ratio:
    """The time of one variant over that of another.

    Attributes:
        of, to: the variants.
        form: of LN, where it has several: the fastest.
        interval: of the ratio; above 1 the first is slower.
    """

    of: Kind
    to: Kind
    form: str
    interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, strings and numbers."""
        return {**asdict(self), "interval": self.interval.to_dict()}


@dataclass(frozen=True)
class CompareReport:
    """What was timed and what it says.

    Attributes:
        backend, threads, device: what ran it; threads None: its own choice.
        inputs: the shape of each input.
        timed: the variants, and the control.
        ratios: of their times.
        control: the variant entered twice, second entry over first. Its interval holds 1 unless
            chance or the machine had it otherwise.
        missing: variants that there were no files for, and why.
        notes: what the reader must know.
        environment: processor, system, versions.
        version: of this form.
    """

    backend: Backend
    threads: int | None
    device: str
    inputs: dict[str, tuple[int, ...]]
    timed: tuple[Timed, ...]
    ratios: tuple[Ratio, ...]
    control: Ratio
    missing: dict[str, str]
    notes: tuple[str, ...]
    environment: dict[str, Any]
    version: int = field(default=REPORT_VERSION)

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
            ThresholdError: the lower end of the interval is below `least`, or there are too few
                rounds for an interval.
            InputError: LN or UN folded was not timed.
        """
        found = self.ratio("ln", "folded")
        if found.attained < found.confidence:
            raise ThresholdError(f"{found.method}: too few for a threshold; take more builds")
        if not found.low >= least:
            raise ThresholdError(
                f"UN folded is {found.ratio:.3f}x as fast as LN, at least {found.low:.3f}x: "
                f"{least:g}x is not reached"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dictionaries, strings and numbers."""
        return {
            **asdict(self),
            "ratios": [ratio.to_dict() for ratio in self.ratios],
            "control": self.control.to_dict(),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"


def compare_variants(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    backend: Backend,
    builds: int = 5,
    rounds: int = 20,
    sample_s: float = 0.02,
    threads: int | None = None,
    device: str = "cpu",
    missing: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    build: Callable[[Job, Path], Seconds] = run_in_process_of_its_own,
    progress: Callable[[str], None] = lambda text: None,
) -> CompareReport:
    """Time variants against each other.

    Args:
        variants: at least one; several of a kind are forms of it, of which the fastest counts.
        feeds: what they all run on.
        backend: what runs them.
        builds: independent builds, each in a process of its own.
        rounds: of each build; the order of the variants is reversed from round to round.
        sample_s: seconds a sample takes at least.
        threads: for computing on the CPU.
        device: of torch.
        missing, notes: for the report.
        build: runs one job; tests put their own here.
        progress: told what is done.

    Raises:
        InputError: a variant does not load or run, or gives NaN or infinities.
    """
    twice = next(v for kind in TWICE for v in variants if v.kind == kind)
    again = f"{twice.name}, again"
    entries = [Entry(variant.name, variant.model, variant.fusions) for variant in variants]
    entries.append(replace(entries[variants.index(twice)], name=again))
    with TemporaryDirectory(prefix="un-deploy-") as made:
        folder = Path(made)
        np.savez(folder / "inputs.npz", **dict(feeds))  # type: ignore[arg-type]
        job = Job(
            backend=backend,
            entries=tuple(entries),
            inputs=str(folder / "inputs.npz"),
            rounds=rounds,
            sample_s=sample_s,
            threads=threads,
            device=device,
        )
        times = run_builds(job, builds, folder, run=build, progress=progress)
    best = [
        min(forms, key=lambda variant: float(np.median(times[variant.name])))
        for _, forms in groupby(sorted(variants, key=lambda v: v.kind), key=lambda v: v.kind)
    ]
    by_kind = {variant.kind: variant for variant in best}
    return CompareReport(
        backend=backend,
        threads=threads,
        device=device,
        inputs={name: array.shape for name, array in feeds.items()},
        timed=tuple(
            _timed(variant, times[name], control=name == again)
            for variant, name in [*((v, v.name) for v in variants), (twice, again)]
        ),
        ratios=tuple(
            Ratio(of, to, by_kind[of].form, ratio(*(times[by_kind[k].name] for k in (of, to))))
            for of, to in COMPARED
            if of in by_kind and to in by_kind
        ),
        control=Ratio(twice.kind, twice.kind, twice.form, ratio(times[again], times[twice.name])),
        missing=dict(missing or {}),
        notes=tuple(notes),
        environment=environment(),
    )


def _timed(variant: Variant, seconds: np.ndarray, *, control: bool) -> Timed:
    return Timed(
        kind=variant.kind,
        form=variant.form,
        source=variant.source,
        derived=variant.derived,
        operators=variant.operators,
        control=control,
        median_s=float(np.median(seconds)),
        seconds=tuple(tuple(map(float, build)) for build in seconds),
    )
