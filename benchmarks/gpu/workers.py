"""Processes that run functions: what hangs or dies there is told, and never takes the suite along.

A CUDA error can make every later call of its process fail, and a compiler can hang. So nothing
that touches the device runs in the suite's own process. This file imports nothing that reads the
environment, so that variables given to a process come in time.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from un_deploy.errors import one_line

Call = tuple[Any, ...]

_SPAWN = multiprocessing.get_context("spawn")


class WorkerError(Exception):
    """A function raised or ran too long, or its process died; one line says which."""


class Worker:
    """A fresh process that runs one function after another.

    Args:
        environment: variables of it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._connection, theirs = _SPAWN.Pipe()
        arguments = (theirs, dict(environment))
        self._process = _SPAWN.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, function: Callable[..., Any], *call: Any, timeout_s: float) -> Any:
        """The function's result.

        Raises:
            WorkerError: see there. Unless the function raised, the process is gone.
        """
        try:
            self._connection.send((function, call))
            if not self._connection.poll(timeout_s):
                self.end()
                raise WorkerError(f"no answer within {timeout_s:.0f} s: its process was ended")
            result = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(10)
            code = self._process.exitcode
            raise WorkerError(f"its process ended with exit code {code}") from error
        if isinstance(result, WorkerError):
            raise result
        return result

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._connection.close()
        self._process.kill()
        self._process.join(10)


def in_parallel(
    function: Callable[..., Any],
    calls: Sequence[Call],
    environment: Mapping[str, str],
    *,
    processes: int,
    until: float,
) -> Iterator[tuple[Call, Any]]:
    """Call a function with each of these arguments, in several processes.

    Yields:
        the arguments and the result, or `WorkerError`, as they come. What is not done at the
        `time.monotonic()` of `until` is given up.
    """
    left = list(calls)
    with _SPAWN.Pool(processes, _begin, (dict(environment),)) as pool:
        results = pool.imap_unordered(partial(_numbered, function), enumerate(calls))
        try:
            for _ in calls:
                number, result = results.next(max(0.0, until - time.monotonic()))
                left.remove(calls[number])
                yield calls[number], result
        except multiprocessing.TimeoutError:
            yield from ((call, WorkerError("the time for it was over")) for call in left)


def _serve(connection: Any, environment: Mapping[str, str]) -> None:
    _begin(environment)
    while True:
        try:
            function, call = connection.recv()
        except EOFError:  # the suite is gone
            return
        connection.send(_result(function, call))


def _begin(environment: Mapping[str, str]) -> None:
    os.environ.update(environment)


def _numbered(function: Callable[..., Any], numbered: tuple[int, Call]) -> tuple[int, Any]:
    return numbered[0], _result(function, numbered[1])


def _result(function: Callable[..., Any], call: Call) -> Any:
    try:
        return function(*call)
    except Exception as error:
        return WorkerError(f"{type(error).__name__}: {one_line(error)}")
