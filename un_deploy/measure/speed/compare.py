"""Times LN, UN unfolded, UN folded and no norm against each other, in several fresh processes.

Everything that could favour one side is shared: the rounds, the inputs, the process, the runtime
and its settings. The folded graph is entered twice; what the two differ by is what this machine
makes of equal things (the A/A control). Layer Normalization is entered in every form in which the
runtime can have it, and the fastest counts; that it is picked by the same samples favours LN. So is
every other variant that has some left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from un_deploy.graph.model.input_specs import Feeds
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.environment import computes_on, environment
from un_deploy.measure.speed.statistics import ratio
from un_deploy.measure.speed.timing_process import (
    Entry,
    Job,
    Seconds,
    read_memory,
    read_told,
    run_builds,
    run_in_process_of_its_own,
)
from un_deploy.measure.speed.variant import Kind, Variant, pairs_of
from un_deploy.measure.speed.variant_times import PERCENTILES, Ratio, Timed
from un_deploy.runtime.backends import backend_named
from un_deploy.runtime.check_settings import has_tf32
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.settings import RunSettings

NOT_TOLD = RunMemory(None, "it was not measured")

TWICE: tuple[Kind, ...] = ("folded", "unfolded", "ln", "none")
"""The first of these that is there is entered twice."""


def compare_variants(
    variants: Sequence[Variant],
    feeds: Feeds,
    settings: RunSettings,
    *,
    builds: int = 5,
    rounds: int = 20,
    sample_s: float = 0.02,
    missing: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    logs: Path | None = None,
    build: Callable[[Job, Path], Seconds] = run_in_process_of_its_own,
    progress: Callable[[str], None] = lambda text: None,
) -> CompareReport:
    """Time variants against each other.

    Args:
        variants: at least one; several of a kind are forms of it, of which the fastest counts.
        builds: independent builds, each in a process of its own.
        rounds: of each build; the order of the variants is reversed from round to round.
        sample_s: seconds a sample takes at least.
        missing, notes: for the report.
        logs: a folder for trtexec's own files, by build and variant.
        build: runs one job; tests put their own here.

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
            settings=settings,
            entries=tuple(entries),
            inputs=str(folder / "inputs.npz"),
            rounds=rounds,
            sample_s=sample_s,
            memory=str(folder / "memory.json"),
            ran=str(folder / "ran.json"),
            logs=None if logs is None else str(logs),
        )
        times = run_builds(job, builds, folder, run=build, progress=progress)
        memory = read_memory(folder / "memory.json")
        ran = read_told(folder / "ran.json")
    best = [
        min(forms, key=lambda variant: float(np.median(times[variant.name])))
        for _, forms in groupby(sorted(variants, key=lambda v: v.kind), key=lambda v: v.kind)
    ]
    by_kind = {variant.kind: variant for variant in best}
    timed = tuple(
        _timed(
            variant,
            times[name],
            memory.get(name, NOT_TOLD),
            ran.get(name, HowItRan()),
            control=name == again,
        )
        for variant, name in [*((v, v.name) for v in variants), (twice, again)]
    )
    otherwise = {one.kind for one in timed if one.otherwise}
    return CompareReport(
        backend=settings.backend,
        threads=settings.threads,
        device=computes_on(settings),
        precision=settings.precision if backend_named(settings.backend).builds_engines else None,
        inputs={name: array.shape for name, array in feeds.items()},
        timed=timed,
        ratios=tuple(
            Ratio(
                of,
                to,
                by_kind[of].form,
                ratio(*(times[by_kind[k].name] for k in (of, to))),
                by_kind[to].form,
            )
            for of, to in pairs_of(by_kind)
            if otherwise.isdisjoint((of, to))
        ),
        control=Ratio(twice.kind, twice.kind, twice.form, ratio(times[again], times[twice.name])),
        missing=dict(missing or {}),
        notes=tuple(notes),
        environment=environment(),
        tf32=settings.tf32 if has_tf32(settings.backend, settings.device) else None,
    )


def _timed(
    variant: Variant, seconds: np.ndarray, memory: RunMemory, ran: HowItRan, *, control: bool
) -> Timed:
    return Timed(
        kind=variant.kind,
        form=variant.form,
        source=variant.source,
        derived=variant.derived,
        operators=variant.operators,
        control=control,
        median_s=float(np.median(seconds)),
        percentiles_s={str(q): float(np.percentile(seconds, q)) for q in PERCENTILES},
        peak_bytes=memory.bytes,
        seconds=tuple(tuple(map(float, build)) for build in seconds),
        plan_bytes=variant.plan_bytes,
        memory=memory.what,
        warnings=ran.warnings,
        doubts=ran.doubts,
        otherwise=ran.otherwise,
        types=ran.types,
        sha256=variant.sha256,
    )
