"""From comparisons, or the JSON that they left behind, to a page, to Markdown or to CSV."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.files import atomic_write_text, check_target
from un_deploy.measure.report import csv_table, html, markdown, over_time
from un_deploy.measure.report.contents import contents
from un_deploy.measure.speed.compare_report import CompareReport

PathLike = str | os.PathLike[str]

_PAGE = (".html", ".htm")
FORMS = (*_PAGE, ".md", ".csv")
"""The endings of what a report is written as."""


def check_page(target: PathLike, *, force: bool = False) -> None:
    """Refuse what would only fail once everything has been measured.

    Raises:
        InputError: the target has the ending of another form.
        TargetError: see `un_deploy.files.check_target`.
        MissingPackageError: the report extra is not installed.
    """
    if _ending(target) in {*FORMS, ".json"} - {*_PAGE}:
        raise InputError(
            f"{target}: this is a page, whose name ends in .html; un-deploy report writes Markdown "
            f"and CSV of the JSON that {argument('output')} keeps"
        )
    html.require_packages()
    check_target(target, force=force)


def check_kept(target: PathLike) -> None:
    """Refuse to keep a report, which is JSON, under the name of another form.

    Raises:
        InputError: the target has such an ending.
    """
    if (ending := _ending(target)) in FORMS:
        raise InputError(
            f"{target}: {argument('output')} keeps the report as JSON, of which un-deploy report "
            f"writes {ending} afterwards"
        )


def write_page(report: CompareReport, target: PathLike, *, force: bool = False) -> None:
    """Write the page of a comparison, whole or not at all.

    Raises:
        TargetError, MissingPackageError: see `check_page`.
    """
    atomic_write_text(target, html.page(report), force=force)


def report_file(
    source: CompareReport | PathLike | Sequence[PathLike], target: PathLike, *, force: bool = False
) -> None:
    """Write a comparison, or what `un-deploy compare -o` wrote, as one report.

    Args:
        source: one report or file, or several files, which become one report over time.
        target: what ends in .html is written as HTML, in .md as Markdown, in .csv as CSV.

    Raises:
        InputError: a source cannot be read, is no such report, or of another version; or the
            target ends otherwise.
        TargetError: see `un_deploy.files.check_target`.
        MissingPackageError: the report extra is not installed; CSV needs none.
    """
    check_target(target, force=force)
    ending = _ending(target)
    if ending not in FORMS:
        raise InputError(
            f"{target}: the ending says what is written, and is .html (a page), .md (Markdown) or "
            f".csv (a table), not {ending or 'none'}"
        )
    if ending != ".csv":
        html.require_packages()
    reports = _reports(source)
    try:
        text = _text(reports, ending)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(source, CompareReport):
            raise
        names = ", ".join(name for name, _ in reports)
        raise InputError(
            f"{names} is damaged: a field of it is not what it was ({error!r})"
        ) from error
    atomic_write_text(target, text, force=force)


def _reports(
    source: CompareReport | PathLike | Sequence[PathLike],
) -> list[tuple[str, CompareReport]]:
    """With what each is called in a table of several."""
    if isinstance(source, CompareReport):
        return [("report", source)]
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not sources:
        raise InputError("there is no report to write: name one, or several")
    return [(str(one), CompareReport.read(Path(one))) for one in sources]


def _ending(target: PathLike) -> str:
    return Path(target).suffix.lower()


def _text(reports: Sequence[tuple[str, CompareReport]], suffix: str) -> str:
    if suffix == ".csv":
        return csv_table.written(reports)
    made = contents(reports[0][1]) if len(reports) == 1 else over_time.contents(reports)
    return markdown.written(made) if suffix == ".md" else html.written(made)
