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
    from un_deploy.runtime.backends import BACKENDS

    with progress.working("Looking at this machine"):
        report = examine(load=load, gpu=gpu)
    broken = report.extras[0].install or any(one.problem for one in report.loads)
    code = 1 if broken else 0
    if as_json:
        options.print_json(report)
        abilities.require(report.lacks, require)
        raise SystemExit(code)
    show.line(f"un-deploy {report.version}, Python {report.python}, {report.machine}")
    rows = [
        (*(("", "") if index else (extra.name or "(base)", extra.purpose)), package, version or "-")
        for extra in report.extras
        for index, (package, version) in enumerate(extra.packages.items())
    ]
    show.table(("extra", "for", "package", "version"), rows)
    runs = [(one.name, one.help, one.extra or "(not by pip)") for one in BACKENDS.values()]
    show.table(("--backend", "runs in", "extra"), runs)
    for extra in report.extras:
        if extra.install and (report.gpus or extra.name not in ("gpu", "tensorrt")):
            show.line(f"For {extra.purpose}: {extra.install}")
    for one in report.loads:
        said = f"does not work: {one.problem}" if one.problem else "loads"
        show.line(f"{f'{one.name} {one.version}'.strip()} {said}")
    show.line(f"trtexec: {report.trtexec}")
    for found in report.gpus:
        show.line(f"GPU: {found}")
    if gpu and not report.gpus:
        show.line("No NVIDIA GPU: no driver here tells of one that CUDA may use.")
    for note in report.notes:
        show.line(f"Note: {note}.", show.MUTED)
    for problem in report.problems:
        show.line(f"NVIDIA's driver: {problem}.")
    rows = [(one.what, "no" if one.lacks else "yes", one.by, one.on) for one in report.served]
    show.table(("what is served", "made here", "by", "on"), rows)
    abilities.require(report.lacks, require)
    raise SystemExit(code)
