"""How a run of trtexec ended, and what its log says: the verdict, warnings, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from signal import Signals

COULD_NOT_START = (126, 127)
"""Exit codes of a loader or shell that does not get as far as trtexec: a library is missing."""

_SIGNAL_BASE = 128
"""A shell around a trtexec that died of signal n ends with this plus n."""

_KEPT = 20
"""Warnings and errors kept of each log."""

# Each line is "[MM/DD/YYYY-hh:mm:ss] [W] text": LogStreamConsumerBuffer of NVIDIA's logging.h.
_LINE = re.compile(r"^(?:\[[^\]]*\] )?\[([EWF])\] (.*)$")
_VERDICT = re.compile(r"^&&&& ([A-Z]+) ")


class Status(Enum):
    """How a run ended. Only PASSED has numbers."""

    PASSED = "passed"
    """It ended with 0, said PASSED, and every file asked for was read."""
    FAILED = "failed"
    """It says so itself, or its exit code does."""
    TIMED_OUT = "timed out"
    """It did not end in time and was killed."""
    CRASHED = "crashed"
    """A signal ended it."""
    COULD_NOT_RUN = "could not run"
    """There is no binary, it does not start, or its version is none that is known here."""
    UNREADABLE = "unreadable output"
    """It ended with 0, but without a verdict, or a file is missing or not in its form."""


@dataclass(frozen=True)
class Said:
    """What a log says.

    Attributes:
        verdict: the word of the last line that starts with "&&&&", such as "PASSED" or "FAILED",
            or "RUNNING" when it came no further; None: there is no such line.
        errors, warnings: the first of these lines, without time and level.
    """

    verdict: str | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def read_log(lines: Iterable[str]) -> Said:
    """Read a log line by line, since a verbose one can be large."""
    verdict = None
    found: dict[str, list[str]] = {"E": [], "W": []}
    for line in lines:
        if match := _VERDICT.match(line):
            verdict = match[1]
        elif match := _LINE.match(line):
            level = found["W" if match[1] == "W" else "E"]
            if len(level) < _KEPT:
                level.append(match[2].strip())
    return Said(verdict, tuple(found["E"]), tuple(found["W"]))


def judge(exit_code: int | None, said: Said) -> tuple[Status, str]:
    """The status as far as exit code and log tell, and why in one line, empty when passed.

    An exit code of None: killed since it did not end in time; negative: ended by that signal.
    """
    why = f": {said.errors[0]}" if said.errors else ""
    if exit_code is None:
        return Status.TIMED_OUT, "killed since it did not end in time"
    number = -exit_code if exit_code < 0 else exit_code - _SIGNAL_BASE
    if number in tuple(Signals):
        return Status.CRASHED, f"ended by {Signals(number).name}{why}"
    if exit_code in COULD_NOT_START and said.verdict is None:
        return Status.COULD_NOT_RUN, f"exit code {exit_code} before its first line{why}"
    if exit_code != 0:
        return Status.FAILED, f"exit code {exit_code}{why}"
    if said.verdict in (None, "RUNNING"):
        return Status.UNREADABLE, "exit code 0, but it says neither PASSED nor FAILED"
    if said.verdict != "PASSED":
        return Status.FAILED, f"exit code 0, but it says {said.verdict}{why}"
    return Status.PASSED, ""
