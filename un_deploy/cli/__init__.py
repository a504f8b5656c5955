"""The command line: one thin file for each command; the rooms below do the work.

- build: un-deploy build: an ONNX file becomes a TensorRT plan.
- command: How the help of a command is laid out: options in groups, and an example.
- compare: un-deploy compare: how fast is a network with LN, UN, and without norms?
- convert: un-deploy convert: from a trained LayerNorm network to a checkpoint with UN.
- demo: un-deploy demo: exports, folds, checks and times trained networks that come with the
  package.
- doctor: un-deploy doctor: what this machine can do, and what to install.
- export: un-deploy export: from a PyTorch model to an ONNX file without its norms.
- fold: un-deploy fold: merge the norms of an ONNX file into its linear operators.
- foreign_flags: Flags of trtexec and Polygraphy: taken where ours says the same, else refused with
  the cure.
- gates: What a comparison must show, measured now or kept: as fast, as exact, no worse than it
  was.
- inspect: un-deploy inspect: what norms an ONNX file has, and what becomes of them.
- memory: Warns before a command starts that the memory there is will not do; it is never refused.
- options: Options that several commands share.
- overwriting: The paths of a command, looked at before it runs: one check for all commands.
- profile: un-deploy profile: where the time of a network goes, layer by layer.
- progress: What a command says of its work: lines on stderr, in a terminal a spinner; and its log
  file.
- report: un-deploy report: comparisons that were kept as JSON, shown, judged, or written
  otherwise.
- show: How reports look in a terminal; piped, they are 80 columns wide and without colours.
- show_comparison: How a comparison looks in a terminal: accuracy first, then times, then engines.
- strip: un-deploy strip: take the norms of an ONNX file out, for measuring.
- triton: un-deploy triton: a model's folder in a Triton Inference Server repository.
- trtexec_compare: un-deploy trtexec-compare: `compare` on TensorRT engines, in trtexec where there
  is one.
- verify: un-deploy verify: does one ONNX file compute what another does?
"""

from __future__ import annotations

import logging
import shlex
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, NoReturn

import click

import un_deploy
from un_deploy.arguments.names import as_options
from un_deploy.cli.memory import warned
from un_deploy.cli.options import TYPED
from un_deploy.cli.overwriting import guarded
from un_deploy.cli.progress import LOGGER, logged
from un_deploy.cpus import limit_threads
from un_deploy.errors import UnDeployError, one_line
from un_deploy.files import no_room
from un_deploy.signals import ENDING

COMMANDS = {
    "export": "export",
    "convert": "convert",
    "fold": "fold",
    "verify": "verify",
    "compare": "compare",
    "trtexec-compare": "trtexec_compare",
    "report": "report",
    "build": "build",
    "profile": "profile",
    "inspect": "inspect",
    "strip": "strip",
    "triton": "triton",
    "doctor": "doctor",
    "demo": "demo",
}
"""Each command's file, in the order in which the help lists them."""

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C stopped, as the shells have it."""


class Terminated(BaseException):
    """A signal came that ends a command: whatever is half-made is cleared away on the way out.

    The exit code is 128 and the signal's number, as the shells have it: 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Commands(click.Group):
    """Loads a command's file when it is named; errors become one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"un_deploy.cli.{COMMANDS[cmd_name]}").command
        return guarded(logged(warned(command, cmd_name)))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[TYPED] = shlex.join(["un-deploy", *args])
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        limit_threads()  # a command loads NumPy when it is named
        with as_options(), warnings.catch_warnings(), _ended_by_signals():
            warnings.showwarning = lambda message, *_, **__: LOGGER.warning(message)
            # What it logs of a damaged file stands in the error, too, in one line.
            logging.getLogger("onnx_ir").setLevel(logging.ERROR)
            try:
                return super().invoke(ctx)
            except UnDeployError as error:
                click.echo(f"error: {one_line(error)}", err=True)  # a name may hold line ends
                ctx.exit(error.exit_code)
            except OSError as error:
                if (said := no_room(error)) is None:
                    raise
                click.echo(f"error: {one_line(said)}", err=True)
                ctx.exit(1)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                ctx.exit(INTERRUPTED)
            except Terminated as ended:
                with suppress(OSError):  # a terminal that was closed takes no more words
                    click.echo("terminated", err=True)
                ctx.exit(ended.exit_code)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM, SIGHUP and SIGQUIT raise `Terminated`, unless they are ignored, as under nohup.

    Without a handler the first process of a container ignores SIGTERM. Another one changes nothing,
    so that the clearing away is not cut short.
    """

    def terminate(number: int, frame: object) -> NoReturn:
        for one in ENDING:
            signal.signal(one, signal.SIG_IGN)
        raise Terminated(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(un_deploy.__version__, prog_name="un-deploy")
def main() -> None:
    """Take a transformer from Layer Normalization to none at all in production.

    A network trained with Unified Normalization leaves PyTorch as ONNX, loses every norm, and is
    proven equal.

    Exit codes: 0 done; 1 something to mend, which the message names; 2 wrong usage; 3 not equal (or
    nobody can tell), or not as fast, as exact or as free of norms as asked; 130
    interrupted (Ctrl-C); 143, 129 and 131 terminated (SIGTERM, SIGHUP, SIGQUIT).

    \b
    Example:
      un-deploy export net.py:make --norm un --checkpoint net.pt -o net.onnx
      un-deploy fold model.onnx -o folded.onnx
    """
