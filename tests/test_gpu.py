"""What the driver tells of a GPU, and that silence is an answer."""

from __future__ import annotations

import pytest

from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.gpu import Gpu, first_gpu, gpus, with_unit


def test_all_that_a_gpu_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, A100, {**A100, "nvmlDeviceGetName": "NVIDIA H200"})
    first, second = gpus()
    assert first == Gpu(
        name="NVIDIA A100",
        driver="550.1",
        memory_bytes=40 * 2**30,
        sm_mhz=1410,
        max_sm_mhz=1980,
        memory_mhz=1215,
        persistent=True,
        temperature_c=31,
        power_w=48.5,
        held_back=1,
    )
    assert second.name == "NVIDIA H200"
    assert first_gpu() == first
    assert driver.opened == 0


def test_what_it_does_not_tell_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Driver(monkeypatch, {"nvmlDeviceGetName": "GRID"})
    assert gpus() == (Gpu("GRID", "550.1", *[None] * 8),)


def test_no_driver_no_gpu_and_a_broken_one_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(monkeypatch, {})
    assert gpus() == ()  # not even its name is told
    driver.devices = []
    assert gpus() == ()
    assert driver.opened == 0
    without_driver(monkeypatch)
    assert gpus() == ()
    assert first_gpu() is None


def test_a_figure_that_is_not_told_is_written_as_nvidia_smi_does() -> None:
    assert with_unit(1410, "MHz") == "1410 MHz"
    assert with_unit(None, "MHz") == "[N/A]"
