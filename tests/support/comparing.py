"""Comparisons without a process for every build, for tests whose subject is not the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from un_deploy.measure.speed.compare import compare_variants
from un_deploy.measure.speed.timing_process import Job, Seconds, run_job

QUICK = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1", "--threads", "1")
ONCE = ("--builds", "1", "--rounds", "2")  # trtexec is a process for every sample


def run_here(job: Job, folder: Path) -> Seconds:
    """A build in this process, with the shortest samples."""
    return run_job(replace(job, sample_s=1e-4))


def call_here(function: Callable[..., Any], *given: Any, folder: Path, doing: str, **named: Any):
    """What `un_deploy.measure.own_process` calls, in this process, where the doubles are."""
    return function(*given, **named)


def compare_here(
    patch: pytest.MonkeyPatch, build: Callable[[Job, Path], Seconds] = run_here
) -> None:
    """Let `un_deploy.compare` and the command line judge and run their builds in this process.

    That a process of its own gives the same is shown by tests/measure/test_own_process.py, and a
    whole comparison by it in tests/pipeline/compare/test_compare.py.
    """

    module = import_module("un_deploy.pipeline.compare.compare")
    patch.setattr(module, "compare_variants", partial(compare_variants, build=build))
    patch.setattr(module, "in_process_of_its_own", call_here)
