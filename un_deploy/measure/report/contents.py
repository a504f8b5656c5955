"""What a report says: the answer, and all sections there is data for."""

from __future__ import annotations

from un_deploy.measure.report.page_elements import Absent, Contents, Section
from un_deploy.measure.report.sections import (
    accuracy,
    batch_sizes,
    engines,
    kernels,
    layer_times,
    memory,
    ratios,
    summary,
    times,
)
from un_deploy.measure.speed.compare_report import CompareReport


def contents(report: CompareReport) -> Contents:
    """Of one comparison.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    made: list[Section | Absent] = [
        ratios.section(report),
        times.section(report),
        batch_sizes.section(report),
        accuracy.section(report),
        memory.section(report),
        *layer_times.sections(report),
        engines.section(report),
        kernels.section(report),
    ]
    models = summary.models(report)
    closing = (
        summary.missing(report, [one for one in (*made, models) if isinstance(one, Absent)]),
        summary.types(report),
        summary.warned(report),
        summary.notes(report),
        models,
        summary.environment(report),
        summary.reading(report),
    )
    version = report.environment.get("un-deploy")
    return Contents(
        title="LN, UN and no norm compared",
        about="a comparison of LN, UN unfolded, UN folded and no norm",
        headline=summary.headline(report),
        summary=summary.summary(report),
        sections=tuple(one for one in (*made, *closing) if isinstance(one, Section)),
        version=None if version is None else str(version),
    )
