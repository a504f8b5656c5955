"""un-deploy doctor: what this machine can do."""

from __future__ import annotations

import json

import click

from un_deploy.cli import options


@click.command()
@options.as_json
def command(as_json: bool) -> None:
    """Say what this machine can do, and what to install."""
    from un_deploy.cli import show
    from un_deploy.pipeline.doctor import examine

    report = examine()
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
        return
    show.line(f"un-deploy {report.version}, Python {report.python}, {report.machine}")
    rows = [
        (*(("", "") if index else (extra.name or "(base)", extra.purpose)), package, version or "-")
        for extra in report.extras
        for index, (package, version) in enumerate(extra.packages.items())
    ]
    show.table(("extra", "for", "package", "version"), rows)
    for extra in report.extras:
        if extra.install and (extra.name != "gpu" or report.gpus):
            show.line(f"For {extra.purpose}: {extra.install}")
    for gpu in report.gpus:
        show.line(f"GPU: {gpu}")
    if not report.gpus:
        show.line("No NVIDIA GPU is to be seen (nvidia-smi).")
