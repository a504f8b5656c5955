"""From comparisons, or the JSON that they left behind, to a page, to Markdown or to CSV."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from un_deploy.errors import InputError
from un_deploy.files import atomic_write_text, check_target
from un_deploy.measure.report import csv_table, html, markdown, over_time
from un_deploy.measure.report.contents import contents
from un_deploy.measure.speed.compare_report import CompareReport

PathLike = str | os.PathLike[str]


def check_page(target: PathLike, *, force: bool = False) -> None:
    """Refuse what would only fail once everything has been measured.

    Raises:
        TargetError: see `un_deploy.files.check_target`.
        MissingPackageError: the report extra is not installed; CSV needs none.
    """
    if Path(target).suffix != ".csv":
        html.require_packages()
    check_target(target, force=force)


def write_page(report: CompareReport, target: PathLike, *, force: bool = False) -> None:
    """Write the page of a comparison, whole or not at all.

    Raises:
        TargetError, MissingPackageError: see `check_page`.
    """
    atomic_write_text(target, html.page(report), force=force)


def report_file(
    source: PathLike | Sequence[PathLike], target: PathLike, *, force: bool = False
) -> None:
    """Write what `un-deploy compare -o` wrote as one report.

    Args:
        source: one file, or several, which become one report over time.
        target: what ends in .md is written as Markdown, in .csv as CSV, anything else as HTML.

    Raises:
        InputError: a source cannot be read, is no such report, or of another version.
        TargetError, MissingPackageError: see `check_page`.
    """
    check_page(target, force=force)
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not sources:
        raise InputError("there is no report to write: name one, or several")
    reports = [(str(one), CompareReport.read(Path(one))) for one in sources]
    try:
        text = _text(reports, Path(target).suffix)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        names = ", ".join(name for name, _ in reports)
        raise InputError(
            f"{names} is damaged: a field of it is not what it was ({error!r})"
        ) from error
    atomic_write_text(target, text, force=force)


def _text(reports: Sequence[tuple[str, CompareReport]], suffix: str) -> str:
    if suffix == ".csv":
        return csv_table.written(reports)
    made = contents(reports[0][1]) if len(reports) == 1 else over_time.contents(reports)
    return markdown.written(made) if suffix == ".md" else html.written(made)
