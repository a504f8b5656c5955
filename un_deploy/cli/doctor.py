"""un-deploy doctor: what this machine can do, and what to install."""

from __future__ import annotations

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.pipeline.abilities import REQUIREMENTS, Requirement


def _requirements(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[Requirement, ...]:
    names = [name.strip() for name in value.split(",")] if value else []
    known: dict[str, Requirement] = {name: name for name in REQUIREMENTS}
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(REQUIREMENTS)}")
    return tuple(known[name] for name in names)


@click.command(cls=Command, example="un-deploy doctor --require rtx,triton")
@click.option(
    "--load/--no-load",
    default=True,
    help="Load what is installed, each runtime in a process of its own.",
)
@click.option(
    "--gpu/--no-gpu",
    default=True,
    help="Ask the driver, and let each runtime reach the GPU. A health check leaves it alone.",
)
@click.option(
    "--require",
    callback=_requirements,
    metavar="NAME,...",
    help=f"Exit with 1 where one of these is missing: {', '.join(REQUIREMENTS)}.",
)
@options.as_json
def command(load: bool, gpu: bool, require: tuple[Requirement, ...], as_json: bool) -> None:
    """Say what this machine can do, and what to install.

    Exit code 1 where a package is missing that un-deploy always needs, one that is installed does
    not work, or something is missing that --require names.
    """
    if require and not load:
        raise click.UsageError("--require loads what it names: leave out --no-load")
    if {"gpu", "ort-cuda"} & set(require) and not gpu:
        raise click.UsageError("--require gpu and ort-cuda ask the driver: leave out --no-gpu")
    from un_deploy.cli import progress, show
    from un_deploy.pipeline import abilities
    from un_deploy.pipeline.doctor import examine

    with progress.working("Looking at this machine"):
        report = examine(load=load, gpu=gpu)
    broken = report.extras[0].install or any(one.problem for one in report.loads)
    code = 1 if broken else 0
    if as_json:
        options.print_json(report)
    else:
        show.told(report.told())
    abilities.require(report.lacks, require)
    raise SystemExit(code)
