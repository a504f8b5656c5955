"""What the NVIDIA driver says about the GPUs, through its library NVML.

No GPU, no driver, or one that does not answer is an ordinary answer: there are no GPUs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NOT_TOLD = "[N/A]"
"""Written where the driver does not tell a figure, as nvidia-smi writes it."""


@dataclass(frozen=True)
class Gpu:
    """A GPU at this moment; None where the driver does not tell.

    Attributes:
        name: of the product.
        driver: its version.
        memory_bytes: all there is.
        sm_mhz, max_sm_mhz: the clock of the multiprocessors, and the highest it may have.
        memory_mhz: the clock of the memory.
        persistent: whether the driver stays loaded while nobody uses the GPU.
        temperature_c: of the GPU, in degrees Celsius.
        power_w: that the board draws, in watts.
        held_back: what holds the clocks back, one bit a reason (nvmlClocksEventReason...).
    """

    name: str
    driver: str
    memory_bytes: int | None
    sm_mhz: int | None
    max_sm_mhz: int | None
    memory_mhz: int | None
    persistent: bool | None
    temperature_c: int | None
    power_w: float | None
    held_back: int | None


def gpus() -> tuple[Gpu, ...]:
    """All GPUs in the driver's order; empty where there is none, or no driver that answers."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        driver = nvml.nvmlSystemGetDriverVersion()
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return tuple(_gpu(nvml, handle, driver) for handle in handles)
    except nvml.NVMLError:  # for example a GPU that has fallen off the bus
        return ()
    finally:
        nvml.nvmlShutdown()


def first_gpu() -> Gpu | None:
    """The driver's first GPU; None where there is none."""
    return next(iter(gpus()), None)


def _gpu(nvml: Any, handle: Any, driver: str) -> Gpu:
    def told(ask: Callable[..., Any], *what: Any) -> Any:
        try:
            return ask(handle, *what)
        except nvml.NVMLError:  # not every GPU tells everything
            return None

    memory = told(nvml.nvmlDeviceGetMemoryInfo)
    persistent = told(nvml.nvmlDeviceGetPersistenceMode)
    power = told(nvml.nvmlDeviceGetPowerUsage)
    return Gpu(
        name=nvml.nvmlDeviceGetName(handle),
        driver=driver,
        memory_bytes=None if memory is None else int(memory.total),
        sm_mhz=told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM),
        max_sm_mhz=told(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_SM),
        memory_mhz=told(nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_MEM),
        persistent=None if persistent is None else bool(persistent),
        temperature_c=told(nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU),
        power_w=None if power is None else power / 1000,
        held_back=told(nvml.nvmlDeviceGetCurrentClocksEventReasons),
    )


def with_unit(figure: int | None, unit: str) -> str:
    """A figure for people, such as "1410 MHz"."""
    return NOT_TOLD if figure is None else f"{figure} {unit}"
