"""Processes that run functions: what hangs or dies there is told, and never takes the suite along.

A CUDA error can make every later call of its process fail, and a compiler can hang. So nothing
that touches the device runs in the suite's own process.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from un_deploy.errors import one_line


class WorkerError(Exception):
    """A function raised, ran too long, or its process died; one line says which."""


class Worker:
    """A fresh process that runs one function after another.

    Args:
        threads: that torch computes with; None: its own choice.
        environment: variables that it starts with, beside this process's own.
    """

    def __init__(
        self, *, threads: int | None = None, environment: dict[str, str] | None = None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        with _set(environment or {}):
            self._process.start()
        theirs.close()

    def tell(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a function; `answer` gives its result."""
        try:
            self.connection.send((function, arguments))
        except OSError as error:
            raise WorkerError(self._died()) from error

    def answer(self, timeout_s: float | None = None) -> Any:
        """The result of the function begun last.

        Raises:
            WorkerError: see there. After a time-out the process is ended.
        """
        try:
            if not self.connection.poll(timeout_s):
                self.end()
                raise WorkerError(f"no answer within {timeout_s:.0f} s: its process was ended")
            went_well, result = self.connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(self._died()) from error
        if not went_well:
            raise WorkerError(result)
        return result

    def ask(
        self, function: Callable[..., Any], *arguments: Any, timeout_s: float | None = None
    ) -> Any:
        """`tell` and `answer`."""
        self.tell(function, *arguments)
        return self.answer(timeout_s)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        if self._process.is_alive():
            self._process.kill()
        self._process.join(10)

    def _died(self) -> str:
        self._process.join(10)
        return f"its process ended with exit code {self._process.exitcode}"


def in_parallel(
    calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]],
    *,
    workers: int,
    threads: int,
    until: float,
) -> Iterator[tuple[int, Any]]:
    """Run calls in several processes.

    Args:
        calls: functions and their arguments, begun in this order.
        workers: processes, at most.
        threads: of each.
        until: `time.monotonic()` at which what is not done is given up.

    Yields:
        the number of each call and its result or `WorkerError`, as they come.
    """
    waiting = list(enumerate(calls))[::-1]
    running: dict[Connection, tuple[Worker, int]] = {}
    try:
        for _ in range(min(workers, len(calls))):
            worker = _worker(threads)
            _begin(worker, waiting, running)
        while running:
            ready = wait(list(running), max(0.0, until - time.monotonic()))
            if not ready:
                break
            for connection in [one for one in running if one in ready]:
                worker, number = running.pop(connection)
                try:
                    yield number, worker.answer(0)
                except WorkerError as error:
                    yield number, error
                if not waiting or not worker.alive:
                    worker.end()
                if waiting:
                    worker = worker if worker.alive else _worker(threads)
                    _begin(worker, waiting, running)
        left = [number for _, number in running.values()] + [number for number, _ in waiting]
        for number in sorted(left):
            yield number, WorkerError("the time for it was over")
    finally:
        for worker, _ in running.values():
            worker.end()


def _worker(threads: int) -> Worker:
    """One that keeps to its threads in NumPy too."""
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return Worker(threads=threads, environment=dict.fromkeys(limits, str(threads)))


def _begin(
    worker: Worker,
    waiting: list[tuple[int, tuple[Callable[..., Any], tuple[Any, ...]]]],
    running: dict[Connection, tuple[Worker, int]],
) -> None:
    number, (function, arguments) = waiting.pop()
    worker.tell(function, *arguments)
    running[worker.connection] = worker, number


@contextmanager
def _set(variables: dict[str, str]) -> Iterator[None]:
    """These variables in this process's environment, which a process inherits as it starts."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update({name: before[name] for name in variables if name in before})


def _serve(connection: Connection, threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:  # the suite is gone
            return
        try:
            reply = True, function(*arguments)
        except Exception as error:
            reply = False, f"{type(error).__name__}: {one_line(error)}"
        connection.send(reply)
