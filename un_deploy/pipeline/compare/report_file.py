"""From a comparison, or the JSON that one left behind, to the HTML page."""

from __future__ import annotations

import os
from pathlib import Path

from un_deploy.errors import InputError
from un_deploy.files import atomic_write_text, check_target
from un_deploy.measure.report.html import page, require_packages
from un_deploy.measure.speed.compare_report import CompareReport


def check_page(target: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse what would only fail once everything has been measured.

    Raises:
        TargetError: see `un_deploy.files.check_target`.
        MissingPackageError: the report extra is not installed.
    """
    require_packages()
    check_target(target, force=force)


def write_page(
    report: CompareReport, target: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write the page of a comparison, whole or not at all.

    Raises:
        TargetError, MissingPackageError: see `check_page`.
    """
    atomic_write_text(target, page(report), force=force)


def report_file(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *, force: bool = False
) -> None:
    """Write the page of the report that `un-deploy compare -o` wrote.

    Raises:
        InputError: the source cannot be read, is no such report, or of another version.
        TargetError, MissingPackageError: see `check_page`.
    """
    check_page(target, force=force)
    report = CompareReport.read(Path(source))
    try:
        text = page(report)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{source} is damaged: a field of it is not what it was ({error!r})"
        ) from error
    atomic_write_text(target, text, force=force)
