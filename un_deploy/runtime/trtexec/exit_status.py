"""How a run of trtexec ended, and what its log says: the verdict, warnings, errors."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from signal import Signals

COULD_NOT_START = (126, 127)
"""Exit codes of a loader or shell that does not get as far as trtexec: a library is missing."""

_SIGNAL_BASE = 128
"""A shell around a trtexec that died of signal n ends with this plus n."""

_KEPT = 20
"""Errors kept of each log, and warnings of its beginning and of its end."""

# Each line is "[MM/DD/YYYY-hh:mm:ss] [W] text": LogStreamConsumerBuffer of NVIDIA's logging.h.
_LINE = re.compile(r"^(?:\[[^\]]*\] )?\[([EWF])\] (.*)$")
_VERDICT = re.compile(r"^&&&& ([A-Z]+) ")

# What trtexec and the parser say around a reason, and after it: NVIDIA's sampleEngines.cpp.
_NO_REASON = re.compile(
    r"--- (Begin|End) node ---|^(Engine set up failed|Inference set up failed|"
    r"Parsing model failed|Failed to (parse onnx file|create engine from model or file)|"
    r"Building engine failed|Engine could not be created from network|"
    r"Error occurred during inference)"
)
_REASONS = 3

# sampleInference.cpp: trtexec goes on without a graph, and says so at this level alone.
_WITHOUT_GRAPH = re.compile(
    r"(?=.*cuda ?graph)(?=.*(fail|ignored|without|cannot|unable|disabled|not (support|allow)))",
    re.IGNORECASE,
)
_DOUBTS = {
    "unstable": re.compile(r"time is unstable", re.IGNORECASE),
    "bound by enqueue time": re.compile(r"may be bound by enqueue time", re.IGNORECASE),
}


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
        errors: the last of these lines, without time and level: a reason is told late.
        warnings: likewise the first and the last of them; what differs in numbers alone, once.
        without_graph: whether one of them is that a CUDA graph was not captured.
        doubts: of the times, in few words: "unstable", "bound by enqueue time".
    """

    verdict: str | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    without_graph: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """What the last errors say; without those lines that say only that there was one."""
        telling = [line for line in self.errors if not _NO_REASON.search(line)]
        return "; ".join((telling or self.errors)[-_REASONS:])


def read_log(lines: Iterable[str]) -> Said:
    """Read a log line by line, since a verbose one can be large."""
    verdict, without_graph = None, False
    errors: deque[str] = deque(maxlen=_KEPT)
    first: list[str] = []
    last: deque[str] = deque(maxlen=_KEPT)
    known: set[str] = set()
    doubts: dict[str, None] = {}
    for line in lines:
        if match := _VERDICT.match(line):
            verdict = match[1]
        elif match := _LINE.match(line):
            text = match[2].strip().removeprefix("* ")
            if match[1] != "W":
                errors.append(text)
                continue
            without_graph |= _WITHOUT_GRAPH.match(text) is not None
            doubts |= {doubt: None for doubt, said in _DOUBTS.items() if said.search(text)}
            if (alike := without_numbers(text)) in known:
                continue
            known.add(alike)
            (first if len(first) < _KEPT else last).append(text)
    return Said(verdict, tuple(errors), (*first, *last), without_graph, tuple(doubts))


def without_numbers(text: str) -> str:
    """The same for warnings that differ in their numbers alone."""
    return re.sub(r"\d+(\.\d+)?", "0", text)


def judge(exit_code: int | None, said: Said) -> tuple[Status, str]:
    """The status as far as exit code and log tell, and why in one line, empty when passed.

    An exit code of None: killed since it did not end in time; negative: ended by that signal.
    """
    why = f": {said.reason}" if said.errors else ""
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
