"""How far a build is, from TensorRT's own progress monitor."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from un_deploy.engines.flavor import Flavor, library

if TYPE_CHECKING:
    from tensorrt import IProgressMonitor

Progress = Callable[[str, int, int], None]
"""Told the phase, its steps that are done, and how many there are."""


def monitor(flavor: Flavor, progress: Progress, cancelled: Event) -> IProgressMonitor:
    """A ``trt.IProgressMonitor`` that tells of every phase; a build that is cancelled ends.

    It is called from the thread that builds, and must not raise there.
    """
    trt = library(flavor)

    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, step + 1, self._steps.get(phase_name, step + 1))
            return not cancelled.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
