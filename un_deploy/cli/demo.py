"""un-deploy demo: exports, folds, checks and times trained networks that come with the package."""

from __future__ import annotations

from pathlib import Path

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Writes
from un_deploy.files import check_folder_to_fill


@click.command(cls=Command, example="un-deploy demo --out demo-out")
@options.writes(
    "--out",
    type=Writes(check=lambda out, values: check_folder_to_fill(out, force=values["force"])),
    default=Path("demo-out"),
    help="Folder for the models and the report; it is created.",
)
@options.force
@options.as_json
@options.json_samples
def command(out: Path, force: bool, as_json: bool, json_samples: bool) -> None:
    """Export, fold, check and time an included trained model.

    vit_micro was trained on Fashion-MNIST with Layer and with Unified Normalization; both classify
    the 1,000 test images that are kept with it, and are timed with and without norms. Nothing is
    downloaded; it takes a minute.
    """
    from un_deploy.cli import progress, show, show_comparison
    from un_deploy.pipeline.demo import demo

    with progress.working("Loading vit_micro"):
        report = demo(out, force=force)
    if as_json or json_samples:
        options.print_json(report, samples=json_samples)
        return
    show.told(report.classified_told())
    show_comparison.comparison(report.comparison)
    show.told(report.files_told())
