"""A clock that moves while something is timed is told."""

from __future__ import annotations

import pynvml
import pytest

from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.measure.speed.clocks import run_and_check_clock

CLOCK = ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)


def test_a_clock_that_stays_is_not_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    assert run_and_check_clock(lambda: 7) == (7, "")
    assert run_and_check_clock(lambda: driver.devices[0].update({CLOCK: 1400})) == (None, "")


def test_a_clock_that_moves_is(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    result, warning = run_and_check_clock(lambda: driver.devices[0].update({CLOCK: 1200}))
    assert result is None
    assert "moved from 1410 to 1200 MHz, it is not locked" in warning


def test_where_the_driver_does_not_tell_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    assert run_and_check_clock(lambda: driver.devices[0].pop(CLOCK)) == (1410, "")
    assert run_and_check_clock(lambda: driver.devices[0].update({CLOCK: 1200})) == (None, "")


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    without_driver(monkeypatch)
    assert run_and_check_clock(lambda: 7) == (7, "")
