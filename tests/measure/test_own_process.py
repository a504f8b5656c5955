"""A call in a process of its own: what it gives, refuses, and leaves behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from un_deploy.errors import InputError, ThresholdError, UnDeployError
from un_deploy.measure import own_process as module
from un_deploy.measure.own_process import in_process_of_its_own


def doubled(array: np.ndarray, *, times: int = 1) -> tuple[int, np.ndarray]:
    """The process, and 2**times of the array."""
    return os.getpid(), array * 2**times


def refused(error: type[UnDeployError]) -> None:
    raise error("so it is")


def killed(number: int) -> None:
    os.kill(os.getpid(), number)


def loads_a_module(name: str) -> bool:
    __import__(name)
    return name in sys.modules


def test_arguments_and_results_are_any_objects(tmp_path: Path) -> None:
    process, found = in_process_of_its_own(
        doubled, np.arange(3.0), folder=tmp_path, doing="doubled", times=2
    )
    assert process != os.getpid()
    np.testing.assert_array_equal(found, [0.0, 4.0, 8.0])


def test_what_it_loads_is_not_loaded_here(tmp_path: Path) -> None:
    assert "this" not in sys.modules
    assert in_process_of_its_own(loads_a_module, "this", folder=tmp_path, doing="loaded")
    assert "this" not in sys.modules


@pytest.mark.parametrize("error", [InputError, ThresholdError])
def test_a_refusal_arrives_as_what_it_is(tmp_path: Path, error: type[UnDeployError]) -> None:
    with pytest.raises(error, match=r"^so it is$"):
        in_process_of_its_own(refused, error, folder=tmp_path, doing="refused")


@pytest.mark.parametrize(
    ("number", "says"),
    [(9, "ended with SIGKILL: there may be too little memory"), (11, "ended with SIGSEGV")],
)
def test_a_process_that_is_killed_is_told(tmp_path: Path, number: int, says: str) -> None:
    with pytest.raises(InputError, match=f"^the process that waited {says}$"):
        in_process_of_its_own(killed, number, folder=tmp_path, doing="waited")


def test_a_fault_is_told_by_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the process that doubled ended with TypeError: "):
        in_process_of_its_own(doubled, folder=tmp_path, doing="doubled")


def test_a_process_that_says_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="the process that doubled ended with no message"):
        in_process_of_its_own(doubled, np.ones(1), folder=tmp_path, doing="doubled")


def test_the_working_directory_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert in_process_of_its_own(doubled, np.ones(1), folder=tmp_path, doing="doubled")
