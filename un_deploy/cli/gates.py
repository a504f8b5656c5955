"""What a comparison must show, measured now or kept: as fast, as exact, no worse than it was."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from un_deploy.cli import options

if TYPE_CHECKING:
    from un_deploy.measure.speed.compare_report import CompareReport
    from un_deploy.measure.speed.variant import Kind
    from un_deploy.pipeline.export.norm_names import Norm

min_speedup = click.option(
    "--min-speedup",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Exit with 3 unless the whole interval says that UN folded is X times as fast as LN; on "
    "an unsteady machine none does.",
)
max_error = click.option(
    "--max-error",
    type=click.FloatRange(min=0),
    metavar="E",
    help="Exit with 3 where a variant differs from float64 by more than this share of the output's "
    "range.",
)
against = options.reads(
    "--against",
    metavar="OLD.json",
    help="Exit with 3 where a ratio is worse than in this older report, beyond both intervals.",
)


def judge(
    report: CompareReport,
    *,
    min_speedup: float | None,
    max_error: float | None,
    old: CompareReport | None,
    quiet: bool,
) -> None:
    """Say that a speed-up is as asked, unless `quiet`; None: it is not asked for.

    Raises:
        ThresholdError: something is not as asked, or cannot be judged.
        InputError: see `CompareReport.require_speedup` and `CompareReport.require_no_regression`.
    """
    from un_deploy.cli import show
    from un_deploy.measure.speed.accuracy import require_accuracy

    if (max_error, old, min_speedup) != (None, None, None):
        report.require_comparable()
    if max_error is not None:
        for point in (report, *report.sweep):
            checked = dict.fromkeys(one.kind for one in point.timed if one.kind != "none")
            require_accuracy(point.accuracy, max_error, tuple(checked), judged=report.judged)
    if old is not None:
        report.require_no_regression(old)
    if min_speedup is not None:
        report.require_speedup(min_speedup)
        if not quiet:
            show.line(
                f"{report.judged}: at least {min_speedup:g}x as fast as LN, as asked.", show.GOOD
            )


def refuse_unmeasured(
    min_speedup: float | None, norms: Collection[Norm] | None, files: Collection[Kind]
) -> None:
    """Refuse --min-speedup, before anything is measured, where one of its two is not compared.

    Args:
        norms: of a model spec; None: LN and UN.
        files: the variants that are given as files instead.

    Raises:
        InputError: LN, or UN to fold, is missing; says what to give.
    """
    from un_deploy.errors import InputError

    if min_speedup is None:
        return
    ln = "ln" in files if files else norms is None or "ln" in norms
    un = {"unfolded", "folded"} & set(files) if files else norms is None or "un" in norms
    if ln and un:
        return
    cure = ("--unfolded or --folded" if ln else "--ln") if files else "--norms ln,un"
    raise InputError(
        f"--min-speedup is of LN over UN folded, and no {'UN' if ln else 'LN'} is compared: give "
        f"{cure}, or leave it out"
    )


def older(path: Path | None) -> CompareReport | None:
    """The report of --against.

    Raises:
        InputError: it cannot be read.
    """
    from un_deploy.measure.speed.compare_report import CompareReport

    return None if path is None else CompareReport.read(path)
