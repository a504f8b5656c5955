"""What a measurement ran on: processor, system, versions, GPU; never the machine's name."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from un_deploy.cpus import cpu_quota, throttled, usable_cpus
from un_deploy.gpu import NOT_TOLD, first_gpu, with_unit
from un_deploy.runtime.backends import backend_named
from un_deploy.runtime.settings import RunSettings
from un_deploy.version import version_of

T = TypeVar("T")

PACKAGES = (
    *("un-deploy", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxruntime-gpu", "torch"),
    *("tensorrt", "tensorrt-rtx-cu13"),
)


def environment() -> dict[str, str | int | float | None]:
    """The machine in kind and the versions; a package that is not installed is left out.

    "cpus" are those that this process may use, "cpu_quota" is what its containers let it have.
    """
    found = {name: version for name in PACKAGES if (version := version_of(name)) is not None}
    return {
        "cpu": cpu(),
        "cpus": usable_cpus(),
        "cpu_quota": cpu_quota(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": gpu(),
        "python": platform.python_version(),
        **found,
    }


def run_and_check_quota(work: Callable[[], T]) -> tuple[T, str]:
    """Run some work: its result, and what a quota of CPU time did to it, or ""."""
    before = throttled()
    result = work()
    quota, after = cpu_quota(), throttled()
    if quota is None or before is None or after is None:
        return result, ""
    had = f"there was a quota of {quota:g} CPUs"
    if not (times := after.periods - before.periods):
        return result, f"{had}, and it never ran out"
    return result, (
        f"{had}, which ran out in {times} periods: CPUs stood still for "
        f"{after.seconds - before.seconds:.1f} s, and the times hold that"
    )


def computes_on(settings: RunSettings) -> str | None:
    """The device that computes: "cpu", torch's as torch names it, or the GPU's name.

    None: the backend computes on a GPU, and no driver tells of one.
    """
    if not backend_named(settings.backend).on_gpu:
        return settings.device
    found = first_gpu()
    return found.name if found else None


def cpu() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def gpu() -> str | None:
    """Name, driver, clocks and persistence mode of the first GPU; None where there is none."""
    if (found := first_gpu()) is None:
        return None
    clocks = f"{with_unit(found.sm_mhz, 'MHz')}, {with_unit(found.max_sm_mhz, 'MHz')}"
    persistence = {True: "Enabled", False: "Disabled", None: NOT_TOLD}[found.persistent]
    return f"{found.name}, {found.driver}, {clocks}, {persistence}"
