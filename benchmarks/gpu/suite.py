"""The order of things: prepare, then cell after cell within the budget, each written at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu import graph_cell, measure_cell
from benchmarks.gpu.cells import GRAPHS, Cell, Series, imports
from benchmarks.gpu.device import ceilings, check, facts, state
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.networks import MISSING
from benchmarks.gpu.prepare import prepare, recipes
from benchmarks.gpu.profile import count_kernels
from benchmarks.gpu.timing import Effort
from benchmarks.gpu.workers import Worker, WorkerError, in_parallel

GRACE_S = 20.0
"""Seconds that a cell may take beyond what it was given, before its process is ended."""

COMPILE_S = 30.0
"""Seconds below which compiling is not worth beginning."""

START_S = 120.0
"""Seconds that a process may take to start and to find its device."""

KERNELS_S = 30.0
"""Seconds that counting the kernels of one network may take."""

LEFT_OUT = "the budget of {:.0f} s was spent"


@dataclass(frozen=True)
class Settings:
    """How the suite runs.

    Attributes:
        device: as torch names it.
        budget_s: seconds for everything, from the start of the command.
        reserve_s: of these, kept for the report.
        effort: of every cell.
        warm_s: seconds for each ceiling.
        prepare_share: share of the budget after which what is not prepared is given up.
        compilers: processes that compile at a time.
        keep: see `Recipe`.
    """

    device: str
    budget_s: float
    effort: Effort
    reserve_s: float = 10.0
    warm_s: float = 2.0
    prepare_share: float = 0.35
    compilers: int = 5
    keep: tuple[str, ...] = ()


class Suite:
    """One run of the suite.

    Args:
        series: the cells.
        settings: how.
        folder: for what is prepared; gigabytes with large networks.
        journal: gets every finished cell.
        began: `time.monotonic()` at the start of the command.
        say: told what is going on.
    """

    def __init__(
        self,
        series: Sequence[Series],
        settings: Settings,
        folder: Path,
        journal: Journal,
        began: float,
        say: Callable[[str], None],
    ) -> None:
        self._series = tuple(series)
        self._settings = settings
        self._folder = folder
        self._journal = journal
        self._began = began
        self._say = say
        self._end = began + settings.budget_s - settings.reserve_s
        self._worker: Worker | None = None
        self._took: dict[tuple[str, str], float] = {}
        self._unprepared: dict[str, str] = {}
        self._norms: dict[str, int] = {}
        self._counted = False
        self._written: set[str] = set()

    def run(self, done: Collection[str] = ()) -> None:
        """Run everything that the budget holds.

        Args:
            done: keys of cells that need no measuring.

        Raises:
            WorkerError: there is no such device.
        """
        try:
            self._prepare()
            prepared = time.monotonic()
            left: list[Cell] = []
            for series in self._series:
                cells = [cell for cell in series.cells if cell.key not in done]
                left += self._run(series.title, cells, self._at(series.until, prepared))
            self._count_kernels()
            if left:
                self._run("what was left", left, self._end, last=True)
        finally:
            if self._worker is not None:
                self._worker.end()

    def _at(self, share: float, since: float | None = None) -> float:
        """When a share of the budget, or of what is left of it at a time, will be spent."""
        start = self._began if since is None else since
        return min(self._end, start + share * (self._began + self._settings.budget_s - start))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _device(self) -> Worker:
        """The process that touches the device; a fresh one if the last is gone."""
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(environment=_environment(self._folder))
        return self._worker

    def _prepare(self) -> None:
        """Build, export, fold and import, while the device warms up and shows what it can do."""
        cells = [cell for series in self._series for cell in series.cells]
        save = any(cell.mode in GRAPHS for cell in cells)
        todo = recipes(imports(self._series), save=save, keep=self._settings.keep)
        cpus = len(os.sched_getaffinity(0))
        workers = max(1, min(len(todo), cpus - 1 if cpus > 2 else cpus))
        self._say(f"Preparing {len(todo)} exports in {workers} processes")
        device = self._device()
        device.ask(check, self._settings.device, timeout_s=START_S)
        device.tell(_look, self._settings.device, self._settings.warm_s)
        answers = in_parallel(
            [(prepare, (recipe, self._folder)) for recipe in todo],
            workers=workers,
            threads=max(1, cpus // workers),
            until=self._at(self._settings.prepare_share),
        )
        for number, result in answers:
            recipe = todo[number]
            if isinstance(result, WorkerError):
                name = f"{recipe.network} with {recipe.kind}"
                self._unprepared[name] = str(result)
                self._say(f"Cannot prepare {name}: {result}")
            else:
                self._norms[recipe.network] = max(
                    self._norms.get(recipe.network, 0), result["norms"]
                )
                self._journal.write("prepared", at_s=round(self._elapsed(), 1), **result)
        try:
            found = device.answer(
                max(1.0, self._at(self._settings.prepare_share) - time.monotonic())
            )
            self._journal.write("device", **found)
        except WorkerError as error:
            self._journal.write("device", error=str(error))
            self._say(f"The device: {error}")
        self._journal.write("missing", networks=MISSING, unprepared=self._unprepared)
        self._say(f"Prepared after {self._elapsed():.0f} s")

    def _run(
        self, title: str, cells: Sequence[Cell], until: float, *, last: bool = False
    ) -> list[Cell]:
        """Measure cells until a time; returns those that it did not reach."""
        if not cells:
            return []
        self._say(f"{title}: {len(cells)} cells, {self._elapsed():.0f} s are over")
        begun: dict[str, Worker] = {}
        if until - time.monotonic() > COMPILE_S:
            begun = self._compile([cell for cell in cells if cell.compiled], until)
        left = []
        try:
            for cell in cells:
                worker = begun.pop(cell.key, None)
                if cell.key in self._written:
                    continue
                unready = cell.compiled and worker is None
                if not unready and time.monotonic() + self._expected(cell) <= until:
                    self._measure(cell, until, worker)
                elif last:
                    self._left_out(cell)
                else:
                    left.append(cell)
                if worker is not None:
                    worker.end()
        finally:
            for worker in begun.values():
                worker.end()
        self._journal.write("state", after=title, at_s=round(self._elapsed(), 1), gpu=state())
        return left

    def _expected(self, cell: Cell) -> float:
        """Seconds that a cell may take: as many as the last of its network and mode did."""
        most = max(self._took.values(), default=0.0)
        return self._took.get((cell.network, cell.mode), most)

    def _left_out(self, cell: Cell) -> None:
        self._write(cell, "left out", LEFT_OUT.format(self._settings.budget_s))

    def _measure(self, cell: Cell, until: float, compiled: Worker | None) -> None:
        worker = compiled or self._device()
        begun = time.monotonic()
        try:
            result = worker.ask(
                _measure_of(cell),
                cell,
                self._folder,
                self._settings.device,
                self._settings.effort,
                until,
                timeout_s=max(1.0, until - begun) + GRACE_S,
            )
        except WorkerError as error:
            status, why = _why(error)
            self._write(cell, status, why)
            if status == "failed":  # an error of the device may stay in its process
                worker.end()
            return
        taken = time.monotonic() - begun
        self._took[cell.network, cell.mode] = taken
        self._journal.write(
            "cell",
            **_told(cell),
            status="timed",
            took_s=round(taken, 2),
            at_s=round(self._elapsed(), 1),
            **result,
        )

    def _compile(self, cells: Sequence[Cell], until: float) -> dict[str, Worker]:
        """Compile cells, each in a process that then waits for its turn to be timed.

        All are compiled before any is timed, so that no compiler disturbs a measurement. What is
        not ready in three quarters of the time is given up for now.
        """
        if not cells:
            return {}
        allowed = until - 0.25 * (until - time.monotonic())
        waiting = list(cells)
        made: dict[str, tuple[Cell, Worker]] = {}
        ready_ones: dict[str, Worker] = {}
        environment = _environment(self._folder)
        while (waiting or made) and time.monotonic() < allowed:
            while waiting and len(made) < self._settings.compilers:
                cell = waiting.pop(0)
                worker = Worker(environment=environment)
                worker.tell(measure_cell.ready, cell, self._folder, self._settings.device)
                made[cell.key] = cell, worker
            self._count_kernels()
            for key, (cell, worker) in list(made.items()):
                if worker.connection.poll(0.1):
                    del made[key]
                    try:
                        worker.answer(0)
                        ready_ones[key] = worker
                    except WorkerError as error:
                        worker.end()
                        self._write(cell, *_why(error))
        for _, worker in made.values():
            worker.end()
        return ready_ones

    def _count_kernels(self) -> None:
        """One profiler pass for each network, once, in a process of its own.

        Best while others compile: then the device has nothing to do.
        """
        if self._counted:
            return
        self._counted = True
        cells: dict[str, Cell] = {}
        for cell in (cell for series in self._series for cell in series.cells):
            if cell.mode == "eager" and cell.recognize:
                cells.setdefault(cell.network, cell)
        worker = Worker()
        try:
            for name, cell in cells.items():
                timeout = self._end - time.monotonic()
                if timeout > 0:
                    counted = worker.ask(
                        count_kernels,
                        cell,
                        self._norms.get(name, 0),
                        self._folder,
                        self._settings.device,
                        timeout_s=min(timeout, KERNELS_S),
                    )
                    self._journal.write("kernels", **counted)
        except WorkerError as error:
            self._say(f"Kernels were not counted: {error}")
        finally:
            worker.end()

    def _write(self, cell: Cell, status: str, reason: str) -> None:
        self._say(f"{cell.key}: {status}: {reason}")
        self._written.add(cell.key)
        self._journal.write(
            "cell", **_told(cell), status=status, reason=reason, at_s=round(self._elapsed(), 1)
        )


def _look(device: str, seconds: float) -> dict[str, Any]:
    return {"facts": facts(device), "ceilings": ceilings(device, seconds), "gpu": state()}


def _measure_of(cell: Cell) -> Callable[..., dict[str, Any]]:
    return graph_cell.measure if cell.mode in GRAPHS else measure_cell.measure


def _told(cell: Cell) -> dict[str, Any]:
    return {"key": cell.key, **asdict(cell)}


def _why(error: WorkerError) -> tuple[str, str]:
    """The status of a cell that was not timed, and the reason."""
    text = str(error)
    for prefix, status in (("NotRunnableError: ", "not runnable"), ("RefusedError: ", "refused")):
        if text.startswith(prefix):
            return status, text.removeprefix(prefix)
    return "failed", text


def _environment(folder: Path) -> dict[str, str]:
    """For processes that compile: one cache for all, and no more helpers than cores."""
    threads = max(1, len(os.sched_getaffinity(0)) // 4)
    return {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_COMPILE_THREADS": str(threads),
    }
