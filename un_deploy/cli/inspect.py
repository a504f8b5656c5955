"""un-deploy inspect: what norms an ONNX file has, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command


@click.command(cls=Command, example="un-deploy inspect model.onnx")
@click.argument("source", metavar="MODEL", type=options.MODEL_FILE)
@options.keep
@options.as_json
def command(source: Path, keep: tuple[str, ...], as_json: bool) -> None:
    """List the norms of an ONNX file and what becomes of them.

    Which fold and where to, which do not and why, and what was nearly one. Nothing is written.
    """
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.inspect_file import inspect_file

    with progress.working(f"Looking at {source}"):
        report = inspect_file(source, keep=keep)
    if as_json:
        options.print_json(report)
        return
    show.told(report.told())
