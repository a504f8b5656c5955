"""From a comparison, in memory or as JSON, to its HTML page, as Python has it."""

from __future__ import annotations

import os

from un_deploy.arguments.check import checked
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.pipeline.compare.report_file import check_page, report_file, write_page


@checked
def report(
    source: CompareReport | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    force: bool = False,
) -> None:
    """Write a comparison as one HTML page, which needs no network and no other file.

    Args:
        source: what `compare` gave, or the JSON file of `un-deploy compare -o`.
        target: the page to write.
        force: replace a target that exists.

    Raises:
        InputError: the source cannot be read, or is no such report.
        TargetError: the target exists or cannot be written.
        MissingPackageError: the report extra is not installed.
    """
    if isinstance(source, CompareReport):
        check_page(target, force=force)
        write_page(source, target, force=force)
    else:
        report_file(source, target, force=force)
