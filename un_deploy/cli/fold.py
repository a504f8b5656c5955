"""un-deploy fold: merge the norms of an ONNX file into its linear operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command


@click.command(cls=Command, example="un-deploy fold model.onnx -o folded.onnx --require-folded all")
@click.argument("source", metavar="IN", type=options.MODEL_FILE)
@options.writes(
    "-o", "--output", "target", type=options.MODEL_TARGET, metavar="OUT", help="The file to write."
)
@click.option("--dry-run", is_flag=True, help="Fold and prove, but write nothing.")
@options.keep
@options.fold_norm_affine
@options.require_folded
@options.reads(
    "--inputs",
    type=options.PYTHON,
    metavar="DATA",
    help="Inputs for a second look beside the proof, whole outputs in a runtime: data.npz, or "
    "loader.py:function, which runs as code. The proof itself needs none.",
)
@options.no_verify
@options.force
@options.as_json
def command(
    source: Path,
    target: Path | None,
    dry_run: bool,
    no_verify: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Fold the norms of an ONNX file into its linear operators.

    Every affine normalization (Unified or Batch Normalization, LayerScale) is merged into the
    operators around it, the result is proven equal part by part for all inputs, and then written.
    """
    if target is None and not dry_run:
        raise click.UsageError("Missing option '-o' / '--output' (or '--dry-run').")
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.fold_file import fold_file

    with progress.working(f"Folding {source}"):
        report = fold_file(source, target, verify=not no_verify, dry_run=dry_run, **settings)
    if as_json:
        options.print_json(report)
        return
    show.told(report.told())
