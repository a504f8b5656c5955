"""What the NVIDIA driver says about the GPUs that CUDA computes on, through its library NVML.

NVML counts all GPUs in the order of the PCI bus, CUDA those that CUDA_VISIBLE_DEVICES names, in its
order; here they are CUDA's. No GPU, no driver, or one that does not answer is an ordinary answer:
there are no GPUs, and `Driver.problems` says why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import CDLL
from dataclasses import dataclass
from typing import Any

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError

NOT_TOLD = "[N/A]"
"""Written where the driver does not tell a figure, as nvidia-smi writes it."""

TF32 = "NVIDIA_TF32_OVERRIDE"
"""The environment variable that, at 0, forbids TF32 to all of NVIDIA's libraries."""

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The environment variable by which CUDA chooses among GPUs."""

_LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a part of one (MIG), at this moment; None where the driver does not tell.

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
        compute_capability: such as "90" of 9.0.
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
    compute_capability: str | None = None


def check_tf32_override() -> None:
    """Refuse TF32 where it would be said to be allowed and is not.

    Raises:
        InputError: the environment forbids it, whatever a library is told.
    """
    if os.environ.get(TF32) == "0":
        raise InputError(
            f"{TF32}=0 forbids TF32 to all of NVIDIA's libraries: say "
            f"{argument('tf32', False)} too, or unset it"
        )


@dataclass(frozen=True)
class Driver:
    """What the driver says.

    Attributes:
        version: of the driver; empty where it does not tell.
        cuda: the newest CUDA that it runs, such as "12.4"; empty where it does not tell.
        gpus: those that CUDA computes on, in its order.
        all_gpus: the names of all there are, in the order of the PCI bus.
        problems: what does not work, in the driver's own words; none where there is no driver.
    """

    version: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    all_gpus: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CUDA computes on, in its order; empty where there is none that answers."""
    return ask_driver().gpus


def first_gpu() -> Gpu | None:
    """The GPU that CUDA computes on unless told otherwise; None where there is none."""
    return next(iter(gpus()), None)


def ask_driver() -> Driver:
    """Ask the driver for everything that it tells."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        absent = error.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND
        problem = _why_not_loaded() if absent else _words(nvml, error)
        return Driver(problems=(problem,) if problem else ())
    try:
        return _ask(nvml)
    except nvml.NVMLError as error:
        return Driver(problems=(_words(nvml, error),))
    finally:
        with suppress(nvml.NVMLError):  # which a lost GPU answers here too
            nvml.nvmlShutdown()


def _words(nvml: Any, error: Any) -> str:
    """The driver's own words, and what helps where that is known."""
    cures = {
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "load or install the kernel module",
        nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "restart the machine after an update",
        nvml.NVML_ERROR_GPU_IS_LOST: "restart the machine",
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND: "the driver is too old, so update it",
    }
    said = str(error).rstrip(".")
    return f"{said}: {cures[error.value]}" if error.value in cures else said


def _why_not_loaded() -> str:
    """What the system's loader says of a library that is there; "" of one that is not."""
    try:
        CDLL(_LIBRARY)
    except OSError as error:
        return "" if "No such file" in str(error) and _LIBRARY in str(error) else str(error)
    return ""


def _ask(nvml: Any) -> Driver:
    version = nvml.nvmlSystemGetDriverVersion()
    cuda = _told(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2)
    found: list[Any] = []
    names: list[str] = []
    problems: list[str] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            names.append(nvml.nvmlDeviceGetName(handle))
            found.append(handle)
        except nvml.NVMLError as error:  # for example a GPU that has fallen off the bus
            problems.append(f"GPU {index}: {_words(nvml, error)}")
            found.append(None)
    visible: list[Gpu] = []
    for handle in _visible(nvml, found, os.environ.get(VISIBLE)):
        try:
            visible.append(_gpu(nvml, handle, version))
        except nvml.NVMLError as error:
            problems.append(_words(nvml, error))
    return Driver(
        version=version,
        cuda="" if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        gpus=tuple(visible),
        all_gpus=tuple(names),
        problems=tuple(problems),
    )


def _visible(nvml: Any, handles: list[Any], chosen: str | None) -> list[Any]:
    """The handles of what CUDA sees, given those of all GPUs (None: one that does not answer).

    As CUDA reads its variable: numbers, or UUIDs of GPUs, or UUIDs of parts of GPUs, each as short
    as it is unique; the first entry that names nothing ends the list, and one that is there twice
    empties it. Numbers are in the order of the PCI bus: where GPUs differ, CUDA has another order
    unless CUDA_DEVICE_ORDER is PCI_BUS_ID.
    """
    if chosen is None:
        return [part for handle in handles for part in _first_part(nvml, handle)]
    entries = [entry.strip() for entry in chosen.split(",")]
    kind = next((kind for kind in ("GPU-", "MIG-") if entries[0].startswith(kind)), "")
    seen: list[tuple[str, Any]] = []
    for entry in entries:
        found = list(_named(nvml, handles, entry, kind))
        if len(found) != 1:
            break
        if found[0][0] in (key for key, _ in seen):
            return []
        seen += found
    return [part for _, handle in seen for part in _first_part(nvml, handle)]


def _named(nvml: Any, handles: list[Any], entry: str, kind: str) -> Iterator[tuple[str, Any]]:
    """What an entry names, each with a key of its own."""
    if not kind:
        number = re.match(r"\+?(\d+)", entry)  # "1gpu" is 1 to CUDA
        if number and int(number[1]) < len(handles) and handles[int(number[1])] is not None:
            yield str(int(number[1])), handles[int(number[1])]
        return
    if not entry.startswith(kind):
        return
    there = [handle for handle in handles if handle is not None]
    if kind == "MIG-":
        there = [part for handle in there for part in _parts(nvml, handle)]
    for handle in there:
        uuid = _told(nvml, nvml.nvmlDeviceGetUUID, handle)
        if uuid and uuid.startswith(entry):
            yield uuid, handle


def _first_part(nvml: Any, handle: Any) -> list[Any]:
    """The GPU itself; of one that is divided its first part, which is all that CUDA takes of it."""
    if handle is None:
        return []
    mode = _told(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return [handle]
    return _parts(nvml, handle)[:1]


def _parts(nvml: Any, handle: Any) -> list[Any]:
    most = _told(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found = (_told(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, i) for i in range(most))
    return [part for part in found if part is not None]


def _gpu(nvml: Any, handle: Any, driver: str) -> Gpu:
    whole = _told(nvml, nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)

    def told(ask: Callable[..., Any], *what: Any) -> Any:
        """Of the part, else of the whole, which has the clocks of all its parts."""
        answer = _told(nvml, ask, handle, *what)
        return _told(nvml, ask, whole, *what) if answer is None and whole is not None else answer

    memory = _told(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    persistent = told(nvml.nvmlDeviceGetPersistenceMode)
    power = told(nvml.nvmlDeviceGetPowerUsage)
    capability = told(nvml.nvmlDeviceGetCudaComputeCapability)
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
        compute_capability=None if capability is None else "".join(map(str, capability)),
    )


def _told(nvml: Any, ask: Callable[..., Any], *what: Any) -> Any:
    """The driver's answer, or None: not every GPU and driver tells everything."""
    try:
        return ask(*what)
    except nvml.NVMLError:
        return None


def with_unit(figure: int | None, unit: str) -> str:
    """A figure for people, such as "1410 MHz"."""
    return NOT_TOLD if figure is None else f"{figure} {unit}"
