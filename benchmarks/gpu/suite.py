"""The order of things: prepare, then cell after cell within the budget, each written at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu import journal
from benchmarks.gpu.cells import Cell, Series
from benchmarks.gpu.device import check, look
from benchmarks.gpu.gates import layer_norm_kernels
from benchmarks.gpu.measure import Effort, count_kernels, measure
from benchmarks.gpu.networks import MISSING
from benchmarks.gpu.prepare import exports, prepare
from benchmarks.gpu.workers import Worker, WorkerError, in_parallel
from un_deploy.measure.speed.environment import gpu

RESERVE_S = 10.0
"""Seconds of the budget that are kept for the report."""

PREPARE_SHARE = 0.35
"""Share of the budget after which what is not prepared is given up."""

ASIDE_SHARE = 0.75
"""Share of a series' time after which what is not compiled is left to the cell itself."""

GRACE_S = 20.0
"""Seconds that a cell may take beyond what it was given, before its process is ended."""

START_S = 120.0
"""Seconds that a process may take to start and to find its device."""

COMPILERS = 5
"""Processes that compile at a time."""


@dataclass
class Suite:
    """One run of the suite.

    Attributes:
        series: the cells.
        device: as torch names it.
        effort: of every cell.
        budget_s: seconds for everything, from `began`.
        began: `time.monotonic()` at the start of the command.
        folder: for what is prepared; gigabytes with large networks.
        path: the journal, which gets every finished cell.
        say: told what is going on.
    """

    series: Sequence[Series]
    device: str
    effort: Effort
    budget_s: float
    began: float
    folder: Path
    path: Path
    say: Callable[[str], None]
    _worker: Worker | None = None
    _took: dict[tuple[str, str], float] = field(default_factory=dict)
    _norms: dict[str, int] = field(default_factory=dict)

    def run(self, done: Collection[str] = ()) -> None:
        """Run everything that the budget holds.

        Args:
            done: keys of cells that need no measuring.

        Raises:
            WorkerError: there is no such device.
        """
        end = self.began + self.budget_s - RESERVE_S
        try:
            self._prepare(self._at(PREPARE_SHARE, self.began))
            prepared = time.monotonic()
            left: list[Cell] = []
            compiled = [one for one in self.series if any(cell.compiled for cell in one.cells)]
            for one in self.series:
                until = min(end, self._at(one.until, prepared))
                if one is (compiled or self.series)[0 if compiled else -1]:
                    self._count_kernels(time.monotonic() + ASIDE_SHARE * (until - time.monotonic()))
                cells = [cell for cell in one.cells if cell.key not in done]
                left += self._run(one.title, cells, until)
            for cell in self._run("what was left", left, end):
                spent = f"the budget of {self.budget_s:.0f} s was spent"
                self._finish(cell, status="left out", reason=spent)
        finally:
            if self._worker is not None:
                self._worker.end()

    def _at(self, share: float, since: float) -> float:
        """When a share of what is left of the budget at a time will be spent."""
        return since + share * (self.began + self.budget_s - since)

    def _write(self, kind: str, **what: Any) -> None:
        journal.write(self.path, kind, **what, at_s=round(time.monotonic() - self.began, 1))

    def _timing(self) -> Worker:
        """The process that times; a fresh one if the last is gone."""
        if self._worker is None or not self._worker.alive:
            self._worker = Worker(self._environment())
        return self._worker

    def _environment(self, processes: int = 1) -> dict[str, str]:
        """For processes beside each other: their share of the cores, one cache of compiled code."""
        caches = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
        limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
        shares = dict.fromkeys(limits if processes > 1 else (), str(max(1, _cpus() // processes)))
        return {name: str(self.folder / name) for name in caches} | shares

    def _prepare(self, until: float) -> None:
        """Build, export, fold and import, while the device warms up and shows what it can do."""
        todo = exports(cell for one in self.series for cell in one.cells)
        self.say(f"Preparing {len(todo)} exports")
        self._timing().ask(check, self.device, timeout_s=START_S)
        unprepared = {}
        with ThreadPoolExecutor(1) as one:
            looking = one.submit(self._timing().ask, look, self.device, timeout_s=START_S)
            calls = [(*export, self.folder) for export in todo]
            processes = max(1, min(len(todo), _cpus() - (_cpus() > 2)))
            for call, made in in_parallel(
                prepare, calls, self._environment(processes), processes=processes, until=until
            ):
                network, kind, *_ = call
                if isinstance(made, WorkerError):
                    unprepared[f"{network} with {kind}"] = str(made)
                    self.say(f"Cannot prepare {network} with {kind}: {made}")
                else:
                    self._norms[network] = max(self._norms.get(network, 0), made["norms"])
                    self._write("prepared", **made)
        try:
            self._write("device", **looking.result())
        except WorkerError as error:
            self._write("device", error=str(error))
        self._write("missing", networks=MISSING, unprepared=unprepared)

    def _run(self, title: str, cells: Sequence[Cell], until: float) -> list[Cell]:
        """Measure cells until a time; returns those that it did not reach."""
        left = []
        if cells:
            self.say(f"{title}: {len(cells)} cells, {time.monotonic() - self.began:.0f} s are over")
        for cell in cells:
            # A cell may take as many seconds as the last of its network and mode did.
            most = max(self._took.values(), default=cell.seconds)
            expected = self._took.get((cell.network, cell.mode), most)
            if time.monotonic() + expected <= until:
                self._measure(cell, until)
            else:
                left.append(cell)
        self._write("state", after=title, gpu=gpu())
        return left

    def _measure(self, cell: Cell, until: float) -> None:
        begun = time.monotonic()
        call = (cell, self.folder, self.device, self.effort)
        try:
            worker = self._timing()
            told = worker.ask(measure, *call, timeout_s=max(1.0, until - begun) + GRACE_S)
        except WorkerError as error:
            worker.end()  # an error of the device may stay in its process
            told = {"status": "failed", "reason": str(error)}
        taken = time.monotonic() - begun
        if told["status"] == "timed":
            self._took[cell.network, cell.mode] = taken
        self._finish(cell, took_s=round(taken, 2), **told)

    def _finish(self, cell: Cell, *, status: str, **told: Any) -> None:
        if status != "timed":
            self.say(f"{cell.key}: {status}: {told['reason']}")
        self._write("cell", key=cell.key, **asdict(cell), status=status, **told)

    def _count_kernels(self, until: float) -> None:
        """Compile all that will be timed compiled, and count kernels there and of eager networks.

        All in processes that time nothing and are gone before anything is timed: no compiler
        disturbs a measurement, and a profiler may slow down every later launch of its process.
        """
        cells = [cell for one in self.series for cell in one.cells]
        eager = {c.network: c for c in reversed(cells) if c.mode == "eager" and c.recognize}
        wanted = [cell for cell in cells if cell.compiled] + [*eager.values()]
        self.say(f"Compiling, and counting kernels, of {len(wanted)} cells")
        calls = [(cell, self.folder, self.device) for cell in wanted]
        processes = max(1, min(COMPILERS, len(wanted)))
        for (cell, *_), found in in_parallel(
            count_kernels, calls, self._environment(processes), processes=processes, until=until
        ):
            if isinstance(found, WorkerError):
                self.say(f"{cell.key}: kernels were not counted: {found}")
                continue
            norms = self._norms.get(cell.network, 0)
            gates = [] if cell.compiled else [asdict(layer_norm_kernels(found, norms))]
            self._write("kernels", key=cell.key, norms=norms, kernels=found, gates=gates)


def _cpus() -> int:
    return len(os.sched_getaffinity(0))
