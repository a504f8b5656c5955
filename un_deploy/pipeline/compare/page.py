"""From a comparison, in memory or as JSON, to its page, Markdown or CSV, as Python has it."""

from __future__ import annotations

import os

from un_deploy.arguments.check import checked
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.pipeline.compare.report_file import report_file


@checked
def report(
    source: CompareReport | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    force: bool = False,
) -> None:
    """Write a comparison as one HTML page, which needs no network and no other file, or as text.

    Args:
        source: what `compare` gave, or the JSON file of `un-deploy compare -o`.
        target: the page to write, FILE.html; FILE.md is Markdown, FILE.csv a table.
        force: replace a target that exists.

    Raises:
        InputError: the source cannot be read, or is no such report; or the target ends otherwise.
        TargetError: the target exists or cannot be written.
        MissingPackageError: the report extra is not installed; CSV needs none.
    """
    report_file(source, target, force=force)
