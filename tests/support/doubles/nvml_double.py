"""A double of the NVIDIA driver: pynvml's own functions answer what a test wants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

A100 = {
    "nvmlDeviceGetName": "NVIDIA A100",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=40 << 30),
    ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM): 1410,
    ("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM): 1980,
    ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM): 1215,
    "nvmlDeviceGetPersistenceMode": pynvml.NVML_FEATURE_ENABLED,
    ("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU): 31,
    "nvmlDeviceGetPowerUsage": 48_500,
    "nvmlDeviceGetCurrentClocksEventReasons": 1,
}
"""What a GPU tells, by the function that asks, with the clock or sensor that it asks for."""


class Driver:
    """A driver with some GPUs; change `devices` to change what it tells.

    Attributes:
        devices: what each tells, as in `A100`; a question that is missing is not answered.
        opened: how often it was opened and not closed again.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *devices: dict[Any, Any]) -> None:
        self.devices = [dict(device) for device in devices]
        self.opened = 0
        answers = {
            "nvmlInit": lambda: self._count(1),
            "nvmlShutdown": lambda: self._count(-1),
            "nvmlSystemGetDriverVersion": lambda: "550.1",
            "nvmlDeviceGetCount": lambda: len(self.devices),
            "nvmlDeviceGetHandleByIndex": lambda index: self.devices[index],
        }
        for question in A100:
            name = question if isinstance(question, str) else question[0]
            answers[name] = lambda device, *what, name=name: self._answer(device, name, *what)
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, answer)

    def _count(self, by: int) -> None:
        self.opened += by

    @staticmethod
    def _answer(device: dict[Any, Any], name: str, *what: int) -> Any:
        question = (name, *what) if what else name
        if question not in device:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return device[question]


def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there is no driver, whatever the machine has."""

    def init() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", init)
