"""The one logger that TensorRT is given; gathers what it says during a call.

TensorRT keeps the first logger of a process and ignores every other, so there is one for each
flavour, and who wants to know what was said during a call listens to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from un_deploy.engines.flavor import Flavor, library
from un_deploy.errors import one_line

if TYPE_CHECKING:
    from tensorrt import ILogger


@dataclass(frozen=True)
class Message:
    """One message; severity is "VERBOSE", "INFO", "WARNING", "ERROR" or "INTERNAL_ERROR"."""

    severity: str
    text: str

    @property
    def is_error(self) -> bool:
        return self.severity in ("ERROR", "INTERNAL_ERROR")

    @property
    def is_problem(self) -> bool:
        return self.is_error or self.severity == "WARNING"


_listeners: list[list[Message]] = []


@cache
def logger(flavor: Flavor) -> ILogger:
    """The logger of this process, a ``trt.ILogger``."""
    trt = library(flavor)

    class Logger(trt.ILogger):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: ILogger.Severity, msg: str) -> None:
            said = Message(severity.name, msg)
            for listener in _listeners:
                listener.append(said)

    return Logger()


@contextmanager
def listening() -> Iterator[list[Message]]:
    """Gather what is said in the body."""
    heard: list[Message] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners[:] = [listener for listener in _listeners if listener is not heard]


def first_error(heard: list[Message]) -> str:
    """The message that came first and is an error, as one line without the library's own place."""
    errors = (one_line(message.text) for message in heard if message.is_error)
    return next(errors, "no reason was given")


def warnings_of(heard: list[Message]) -> tuple[str, ...]:
    """The warnings, each once, as one line."""
    found = (one_line(message.text) for message in heard if message.severity == "WARNING")
    return tuple(dict.fromkeys(found))
