"""un-deploy report: the HTML page of a comparison that was kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Reads


@click.command(cls=Command, example="un-deploy report report.json -o report.html")
@click.argument("source", metavar="REPORT.json", type=Reads())
@options.writes(
    "-o",
    "--output",
    "target",
    required=True,
    metavar="FILE.html",
    help="The HTML page to write.",
)
@options.force
@options.as_json
def command(source: Path, target: Path, force: bool, as_json: bool) -> None:
    """Write a comparison as one HTML page.

    REPORT.json is what `un-deploy compare -o` wrote, for example in CI, or `un-deploy demo`. The
    page needs no network and no other file.
    """
    from un_deploy.cli import show
    from un_deploy.pipeline.compare.report_file import report_file

    report_file(source, target, force=force)
    if as_json:
        click.echo(json.dumps({"source": str(source), "target": str(target)}, indent=2))
    else:
        show.line(f"Wrote {target}.")
