"""What a command says of its work: lines on stderr, in a terminal a spinner; and its log file.

All of it goes through Python's logging, below the logger "un_deploy": a stage is INFO, its details
are DEBUG. Where stderr is no terminal, a thread says now and then that the stage goes on.
"""

from __future__ import annotations

import logging
import platform
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from copy import copy
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from un_deploy.cli.overwriting import Writes, anything
from un_deploy.errors import TargetError, one_line
from un_deploy.version import __version__

if TYPE_CHECKING:
    from rich.status import Status

LOGGER = logging.getLogger("un_deploy")

EVERY_S = 10.0
"""Where stderr is no terminal, it gets a line at least as often."""

OPTIONS = (
    click.Option(
        ["-q", "--quiet"], is_flag=True, help="Say nothing on stderr but warnings and errors."
    ),
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        help="Say more on stderr: every detail, and where an error came from.",
    ),
    click.Option(
        ["--log-file"],
        type=Writes(check=anything),
        metavar="FILE",
        help="Append to this file all that --verbose says, with the time of each line.",
    ),
)
"""Every command has these."""


class Screen(logging.Handler):
    """Standard error: a line for each stage; in a terminal a spinner that names the stage."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        super().__init__(logging.WARNING if quiet else logging.DEBUG)
        self.stream = sys.stderr  # what the exporters redirect later is not ours
        self.spins = self.stream.isatty() and not quiet
        self.least = logging.DEBUG if verbose else logging.WARNING if self.spins else logging.INFO
        self.spinner: Status | None = None
        self.stage, self.began, self.said = "Starting", time.monotonic(), time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if record.levelno >= logging.WARNING:
            text = f"{record.levelname.lower()}: {one_line(text)}"
        else:
            self.stage = text
            if record.levelno >= logging.INFO:  # a detail begins no stage
                self.began = time.monotonic()
            if self.spinner:
                self.spinner.update(_plain(text))
        if record.levelno >= self.least:
            self._line(text)

    def still(self) -> float:
        """Say that the stage goes on, unless something was said; how long to wait until then."""
        silent = time.monotonic() - self.said
        if silent >= EVERY_S:
            self._line(f"Still: {self.stage} ({time.monotonic() - self.began:.0f} s)")
            return EVERY_S
        return EVERY_S - silent

    def _line(self, text: str) -> None:
        self.said = time.monotonic()
        if self.spinner:
            self.spinner.console.print(_plain(text), soft_wrap=True)
        else:
            click.echo(text, file=self.stream)


def logged(command: click.Command) -> click.Command:
    """The command with `OPTIONS`, which say where its stages go."""
    run = command.callback
    assert run is not None  # a command of this program is a function

    @wraps(run)
    def telling(
        *arguments: Any, quiet: bool, verbose: bool, log_file: Path | None, **values: Any
    ) -> Any:
        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose exclude each other")
        with _telling(Screen(quiet=quiet, verbose=verbose), log_file):
            return run(*arguments, **values)

    command = copy(command)
    command.params = [*command.params, *OPTIONS]
    command.callback = telling
    return command


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Say what takes long, while it does; gives a function that names the next stage.

    What the user's own Python prints meanwhile goes to stderr too, so that standard output holds
    the report alone.
    """
    screen = next((one for one in LOGGER.handlers if isinstance(one, Screen) and one.spins), None)
    with redirect_stdout(sys.stderr):
        LOGGER.info(what)
        if screen is None:
            yield LOGGER.info
            return
        from rich.console import Console

        with Console(stderr=True).status(_plain(what)) as screen.spinner:
            try:
                yield LOGGER.info
            finally:
                screen.spinner = None


def phases(what: str) -> Callable[[str, int, int], None]:
    """A function that is told the phase of a build, its steps that are done and all its steps."""
    seen: set[str] = set()

    def tell(phase: str, done: int, steps: int) -> None:
        if phase not in seen:
            LOGGER.info("%s: %s", what, phase)
        seen.add(phase)
        LOGGER.debug("%s: %s, %d of %d", what, phase, done, steps)

    return tell


@contextmanager
def _telling(screen: Screen, log_file: Path | None) -> Iterator[None]:
    handlers: list[logging.Handler] = [screen]
    if log_file is not None:
        handlers.append(_file_handler(log_file))
    level = LOGGER.level
    LOGGER.setLevel(logging.DEBUG)
    for handler in handlers:
        LOGGER.addHandler(handler)
    words = shlex.join(sys.argv[1:])
    LOGGER.debug("un-deploy %s, Python %s: %s", __version__, platform.python_version(), words)
    try:
        with _saying_still(screen):
            yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception:
        LOGGER.debug("It ended with an error:", exc_info=True)
        raise
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
            handler.close()
        LOGGER.setLevel(level)


def _file_handler(path: Path) -> logging.Handler:
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"cannot write {path}: {error.strerror or error}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler


@contextmanager
def _saying_still(screen: Screen) -> Iterator[None]:
    if screen.level > logging.INFO or screen.spins:
        yield
        return
    ended = threading.Event()

    def say() -> None:
        wait = EVERY_S
        while not ended.wait(wait):
            wait = screen.still()

    thread = threading.Thread(target=say, name="un-deploy says that it works", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _plain(text: str) -> Any:
    """A text of rich that reads nothing as markup: names may hold brackets."""
    from rich.text import Text

    return Text(text)
