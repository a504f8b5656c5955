"""un-deploy strip: take the norms of an ONNX file out, for measuring."""

from __future__ import annotations

from pathlib import Path

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command


@click.command(cls=Command, example="un-deploy strip model.onnx -o stripped.onnx")
@click.argument("source", metavar="IN", type=options.MODEL_FILE)
@options.output
@click.option(
    "--node",
    "nodes",
    multiple=True,
    metavar="NODE",
    help="Take out this norm only. Name one of its operators, or its module. May be repeated. "
    "Without it, all that are known to be norms.",
)
@options.force
@options.as_json
def command(source: Path, target: Path, nodes: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Take norms out unfolded, which changes answers.

    For measuring what the norms of a network cost. The result computes something else.
    """
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.strip_file import strip_file

    with progress.working(f"Stripping {source}"):
        report = strip_file(source, target, nodes=nodes or None, force=force)
    if as_json:
        options.print_json(report)
        return
    show.strip(report)
    what = f"it computes something else than {source}"
    if not report.stripped:
        what = "nothing was taken out, and it is the network as it was"
    show.line(f"Wrote {target}: {what}.")
