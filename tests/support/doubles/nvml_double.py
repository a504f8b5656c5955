"""A double of the NVIDIA driver: pynvml's own functions answer what a test wants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

A100: dict[Any, Any] = {
    "nvmlDeviceGetName": "NVIDIA A100",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=40 << 30),
    ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM): 1410,
    ("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM): 1980,
    ("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM): 1215,
    "nvmlDeviceGetPersistenceMode": pynvml.NVML_FEATURE_ENABLED,
    ("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU): 31,
    "nvmlDeviceGetPowerUsage": 48_500,
    "nvmlDeviceGetCurrentClocksEventReasons": 1,
    "nvmlDeviceGetCudaComputeCapability": (8, 0),
}
"""What a GPU tells, by the function that asks, with the clock or sensor that it asks for."""

UUIDS = ("GPU-8932f937-d72c", "GPU-89aa0000-1111", "GPU-c12f20bd-9faa")


def gpu(name: str, uuid: str, **told: Any) -> dict[Any, Any]:
    """An A100 with a name and a UUID of its own."""
    return {**A100, "nvmlDeviceGetName": name, "nvmlDeviceGetUUID": uuid, **told}


def divided(name: str, uuid: str, *parts: tuple[str, str, int]) -> dict[Any, Any]:
    """A GPU in MIG mode with its parts: name, UUID, bytes of memory. They tell no clocks."""
    whole = gpu(name, uuid, nvmlDeviceGetMigMode=[pynvml.NVML_DEVICE_MIG_ENABLE] * 2)
    whole["parts"] = [
        {
            "nvmlDeviceGetName": part,
            "nvmlDeviceGetUUID": of,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=memory),
            "whole": whole,
        }
        for part, of, memory in parts
    ]
    return whole


class Driver:
    """A driver with some GPUs; change `devices` to change what it tells.

    CUDA may use all of them, whatever the environment of the test says, until the test sets it.

    Attributes:
        devices: what each tells, as in `A100`; a question that is missing is not answered. In the
            place of one, NVML's code of an error: a GPU that does not answer.
        opened: how often it was opened and not closed again.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *devices: dict[Any, Any] | int) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        self.devices = [dict(device) if isinstance(device, dict) else device for device in devices]
        self.opened = 0
        answers = {
            "nvmlInit": lambda: self._count(1),
            "nvmlShutdown": lambda: self._count(-1),
            "nvmlSystemGetDriverVersion": lambda: "550.1",
            "nvmlDeviceGetCount": lambda: len(self.devices),
            "nvmlSystemGetCudaDriverVersion_v2": lambda: 12040,
            "nvmlDeviceGetHandleByIndex": self._handle,
            "nvmlDeviceGetMaxMigDeviceCount": lambda device: len(self._answer(device, "parts")) + 1,
            "nvmlDeviceGetMigDeviceHandleByIndex": self._part,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda part: self._answer(
                part, "whole"
            ),
        }
        for question in (*A100, "nvmlDeviceGetUUID", "nvmlDeviceGetMigMode"):
            name = question if isinstance(question, str) else question[0]
            answers[name] = lambda device, *what, name=name: self._answer(device, name, *what)
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, answer)

    def _count(self, by: int) -> None:
        self.opened += by

    def _handle(self, index: int) -> dict[Any, Any]:
        device = self.devices[index]
        if isinstance(device, int):
            raise pynvml.NVMLError(device)
        return device

    def _part(self, device: dict[Any, Any], index: int) -> dict[Any, Any]:
        """The first place is empty, as after a part was taken away."""
        if index == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        part: dict[Any, Any] = self._answer(device, "parts")[index - 1]
        return part

    @staticmethod
    def _answer(device: dict[Any, Any], name: str, *what: int) -> Any:
        question = (name, *what) if what else name
        if question not in device:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return device[question]


def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on there is no driver, whatever the machine has."""
    with_broken_driver(monkeypatch, pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)


def with_broken_driver(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """From now on the driver answers with an error, by NVML's code."""

    def init() -> None:
        raise pynvml.NVMLError(code)

    monkeypatch.setattr(pynvml, "nvmlInit", init)
