"""What a report says of the machine's GPU, and of the device that computes."""

from __future__ import annotations

import pynvml
import pytest

from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.measure.speed.environment import computes_on, environment
from un_deploy.runtime.settings import RunSettings


def test_the_first_gpu_is_described_with_its_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100)
    assert environment()["gpu"] == "NVIDIA A100, 550.1, 1410 MHz, 1980 MHz, Enabled"
    driver.devices[0]["nvmlDeviceGetPersistenceMode"] = pynvml.NVML_FEATURE_DISABLED
    del driver.devices[0]["nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM]
    assert environment()["gpu"] == "NVIDIA A100, 550.1, 1410 MHz, [N/A], Disabled"


def test_without_a_driver_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    without_driver(monkeypatch)
    assert environment()["gpu"] is None


@pytest.mark.parametrize(
    ("settings", "with_gpu", "without"),
    [
        (RunSettings("trtexec"), "NVIDIA A100", None),
        (RunSettings("tensorrt-rtx"), "NVIDIA A100", None),
        (RunSettings("ort-cuda"), "NVIDIA A100", None),
        (RunSettings("ort-cpu"), "cpu", "cpu"),
        (RunSettings("torch"), "cpu", "cpu"),
        (RunSettings("torch", device="cuda:1"), "cuda:1", "cuda:1"),
    ],
)
def test_the_device_is_what_computes(
    monkeypatch: pytest.MonkeyPatch, settings: RunSettings, with_gpu: str, without: str | None
) -> None:
    Driver(monkeypatch, A100)
    assert computes_on(settings) == with_gpu
    without_driver(monkeypatch)
    assert computes_on(settings) == without
