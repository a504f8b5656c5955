"""What a report says of the machine's GPU."""

from __future__ import annotations

import pynvml
import pytest

from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.measure.speed.environment import environment


def test_the_first_gpu_is_described_with_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    assert environment()["gpu"] == "NVIDIA A100, 550.1, 1410 MHz, 1980 MHz, Enabled"
    driver.devices[0]["nvmlDeviceGetPersistenceMode"] = pynvml.NVML_FEATURE_DISABLED
    del driver.devices[0]["nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM]
    assert environment()["gpu"] == "NVIDIA A100, 550.1, 1410 MHz, [N/A], Disabled"


def test_without_a_driver_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    without_driver(monkeypatch)
    assert environment()["gpu"] is None
