"""un-deploy trtexec-compare: `compare` on TensorRT engines, in trtexec where there is one."""

from __future__ import annotations

from copy import copy

import click

from un_deploy.cli import compare
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.settings import ENGINE

_HELP = """Time what compare does, as TensorRT engines.

    That is a network with LN, UN, UN folded and no norm, each as an engine: in trtexec ($TRTEXEC,
    on PATH, or where NVIDIA puts it), else in TensorRT or TensorRT-RTX through Python. Its first
    line says in which. Where none can run, it ends with 1 and says what is missing; un-deploy
    compare then times the variants in ONNX Runtime or torch, whose times are not those of engines.

    --precision is that of all engines, of what is compared with float64, and of what the gates
    judge. Otherwise see un-deploy compare --help.
    """


def _backend(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return ENGINE if value == "auto" else value


def _which(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    from un_deploy.runtime.choose_engine import choose_engine_backend, runtime_title
    from un_deploy.runtime.settings import RunSettings

    if value:
        click.echo(runtime_title(RunSettings(choose_engine_backend())))
        ctx.exit()


_OPTIONS = {
    "backend": click.Option(
        ["--backend"],
        type=click.Choice(["auto", *(one.name for one in BACKENDS.values() if one.builds_engines)]),
        default="auto",
        callback=_backend,
        help="What runs the engines; auto: trtexec, else TensorRT, else TensorRT-RTX; for plans, "
        "what runs theirs.",
    ),
    "which": click.Option(
        ["--which"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_which,
        help="Only say what would run the engines here; exit with 1 where nothing can.",
    ),
}

command = copy(compare.command)
command.name = "trtexec-compare"
command.help = _HELP
command.params = [
    *(_OPTIONS.get(str(param.name), param) for param in compare.command.params),
    _OPTIONS["which"],
]
