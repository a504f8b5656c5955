"""un-deploy trtexec-compare: `compare` on TensorRT engines, in trtexec where there is one."""

from __future__ import annotations

import json
from copy import copy
from typing import Any, get_args

import click
from click.core import ParameterSource

from un_deploy.cli import compare
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.settings import ENGINE, Setting

_ENGINES = [one for one in BACKENDS.values() if one.builds_engines]

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


def _command(*, which: bool, **given: Any) -> None:
    if which:
        return _say_which(given["backend"], as_json=given["as_json"])
    assert compare.command.callback is not None
    return compare.command.callback(**given)


_OF_WHICH = ("which", "backend", "as_json")


def _say_which(backend: str, *, as_json: bool) -> None:
    from un_deploy.runtime.choose_engine import choose_engine_backend, runtime_title
    from un_deploy.runtime.settings import RunSettings

    context = click.get_current_context()
    for param in command.params:
        source = context.get_parameter_source(str(param.name))
        if source is ParameterSource.COMMANDLINE and param.name not in _OF_WHICH:
            raise click.UsageError(f"--which measures nothing: leave out {param.opts[0]}")
    able = () if backend == ENGINE else (backend,)
    chosen = choose_engine_backend(able)
    title = runtime_title(RunSettings(chosen.name))
    if as_json:
        told = {"backend": chosen.name, "title": title, "notes": chosen.passed_over}
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(title)
    for note in chosen.passed_over:
        click.echo(f"Note: {note}.", err=True)


_OPTIONS = {
    "backend": click.Option(
        ["--backend"],
        type=click.Choice(["auto", *(one.name for one in _ENGINES)]),
        default="auto",
        callback=_backend,
        help="What runs the engines; auto: trtexec, else TensorRT, else TensorRT-RTX; for plans, "
        "what runs theirs.",
    ),
    "which": click.Option(
        ["--which"],
        is_flag=True,
        help="Only say what would run the engines here; exit with 1 where nothing can.",
    ),
}

_NEVER_TAKEN = set(get_args(Setting)) - {name for one in _ENGINES for name in one.takes}
"""Settings that no engine has."""

command = copy(compare.command)
command.name = "trtexec-compare"
command.help = _HELP
command.example = "un-deploy trtexec-compare --unfolded un.onnx --dim batch=8 --precision fp16"
command.callback = _command
command.params = [
    *(
        _OPTIONS.get(str(param.name), param)
        for param in compare.command.params
        if param.name not in _NEVER_TAKEN
    ),
    _OPTIONS["which"],
]
