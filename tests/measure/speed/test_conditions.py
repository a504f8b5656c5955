"""What else the machine did while something was timed is told, also where it spoils the times."""

from __future__ import annotations

import os
from pathlib import Path

import pynvml
import pytest

from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.measure.speed import conditions
from un_deploy.measure.speed.conditions import Conditions, run_and_see

CLOCK = ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)


def test_a_clock_that_stays_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    for mhz in (1410, 1400):
        _, seen = run_and_see(lambda mhz=mhz: driver.devices[0].update({CLOCK: mhz}))
        assert seen.sm_mhz == (1410, mhz)
        assert not any("clock" in text for text in seen.unsteady(threads=None, on_gpu=True))


def test_a_clock_that_moves_is_where_a_gpu_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    result, seen = run_and_see(lambda: driver.devices[0].update({CLOCK: 1200}))
    assert result is None
    (said,) = (t for t in seen.unsteady(threads=None, on_gpu=True) if "clock" in t)
    assert "moved from 1410 to 1200 MHz, it is not locked" in said
    assert not any("clock" in text for text in seen.unsteady(threads=None, on_gpu=False))


def test_where_the_driver_does_not_tell_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    result, seen = run_and_see(lambda: driver.devices[0].pop(CLOCK))
    assert (result, seen.sm_mhz) == (1410, None)
    without_driver(monkeypatch)
    assert run_and_see(lambda: 7)[1].sm_mhz is None


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/proc/stat of CPUs 0 and 1, and a clock that a second passes on, of which we take nothing."""
    path = tmp_path / "stat"
    path.write_text(
        "cpu  0\ncpu0 100 0 100 5000 70 0 0 0 9 9\ncpu1 100 0 0 5000 0 0 0 0 9 9\nintr 1"
    )
    seconds = iter((10.0, 11.0))
    monkeypatch.setattr(conditions, "_STAT", path)
    monkeypatch.setattr(conditions, "bound_cpus", lambda: frozenset((0, 1)))
    monkeypatch.setattr(conditions, "_own", lambda: 5.0)
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    return path


def test_what_others_took_is_counted(stat: Path) -> None:
    """Of each CPU in hundredths of a second: user, nice, system, idle, waiting, ..., its host."""
    tick = os.sysconf("SC_CLK_TCK")
    first, second = f"{100 + tick} 0 100 5050 90 0 0 0 9 9", f"100 0 0 5080 0 0 0 {tick // 2} 9 9"
    busy = f"cpu  0\ncpu0 {first}\ncpu1 {second}"
    _, seen = run_and_see(lambda: stat.write_text(busy))
    assert (seen.others, seen.cpus) == (1.5, 2)


def test_our_own_work_is_not_that_of_others(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = iter((5.0, 5.75))
    monkeypatch.setattr(conditions, "_own", lambda: next(own))
    tick = os.sysconf("SC_CLK_TCK")
    busy = f"cpu  0\ncpu0 {100 + tick} 0 100 5000 70 0 0 0\ncpu1 100 0 0 5000 0 0 0 0"
    _, seen = run_and_see(lambda: stat.write_text(busy))
    assert seen.others == 0.25


@pytest.mark.parametrize("text", ["", "cpu0 x", "cpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0", None])
def test_a_system_that_does_not_tell(stat: Path, text: str | None) -> None:
    if text is None:
        stat.unlink()
    else:
        stat.write_text(text)
    assert run_and_see(lambda: 7)[1].others is None


@pytest.mark.parametrize(
    ("others", "cpus", "threads", "on_gpu", "unsteady"),
    [
        (0.1, 2, 2, False, False),
        (0.3, 2, 2, False, True),
        (1.1, 2, 1, False, False),  # one CPU is left for them
        (1.3, 2, 1, False, True),
        (0.3, 2, None, False, True),  # a backend's own choice takes all
        (0.3, 2, 8, False, True),
        (6.0, 8, None, True, False),  # of a GPU one thread launches the kernels
        (7.5, 8, None, True, True),
        (None, 2, 2, False, False),
    ],
)
def test_who_takes_the_cpus_that_are_timed(
    others: float | None, cpus: int, threads: int | None, on_gpu: bool, unsteady: bool
) -> None:
    found = Conditions(0.5, cpus, others).unsteady(threads=threads, on_gpu=on_gpu)
    assert bool(found) == unsteady
    if unsteady:
        assert f"other processes kept {others} of {cpus} CPUs busy" in found[0]
