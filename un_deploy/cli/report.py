"""un-deploy report: comparisons that were kept as JSON, shown, judged, or written otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import click

from un_deploy.cli import gates, options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Reads


class _Reports(Reads):
    """Several, each of which is read."""

    def __init__(self) -> None:
        super().__init__(lambda paths: paths)


@click.command(
    cls=Command,
    example="un-deploy report compare.json -o compare.html\n"
    "un-deploy report compare.json --min-speedup 1.05\n"
    "un-deploy report monday.json tuesday.json -o week.html",
)
@click.argument("sources", metavar="REPORT.json...", type=_Reports(), nargs=-1, required=True)
@options.writes(
    "-o",
    "--output",
    "--html",
    "target",
    metavar="FILE",
    help="Write it: FILE.html is one page with plots, FILE.md is Markdown, FILE.csv a table.",
)
@gates.min_speedup
@gates.max_error
@gates.against
@options.force
@options.as_json
def command(
    sources: tuple[Path, ...],
    target: Path | None,
    min_speedup: float | None,
    max_error: float | None,
    against: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Show, judge or write a comparison that was kept.

    REPORT.json is what `un-deploy compare -o` wrote, for example in CI, or `un-deploy demo`.
    Without -o it is shown as compare shows it. The page needs no network and no other file.

    Of several reports one over time is written: what was measured alike is one series. The gates
    are those of compare, and judge the last report that is named.
    """
    from un_deploy.cli import show, show_comparison
    from un_deploy.measure.speed.compare_report import CompareReport
    from un_deploy.pipeline.compare.report_file import report_file

    old = gates.older(against)
    if target is not None:
        report_file(sources, target, force=force)
    reports = [CompareReport.read(path) for path in sources]
    if as_json:
        kept = [json.loads(report.to_json(samples=False)) for report in reports]
        click.echo(json.dumps(kept if len(kept) > 1 else kept[0], indent=2))
    elif target is not None:
        show.line(f"Wrote {target}")
    else:
        for path, report in zip(sources, reports, strict=True):
            if len(reports) > 1:
                show.line(f"{path}:")
            show_comparison.comparison(report)
    last = reports[-1]
    gates.judge(last, min_speedup=min_speedup, max_error=max_error, old=old, quiet=as_json)
