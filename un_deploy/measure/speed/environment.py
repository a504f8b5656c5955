"""What a measurement ran on: processor, system, versions, GPU; never the machine's name."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from un_deploy.gpu import NOT_TOLD, first_gpu, with_unit
from un_deploy.runtime.backends import backend_named
from un_deploy.runtime.settings import RunSettings
from un_deploy.version import version_of

PACKAGES = ("un-deploy", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxruntime-gpu", "torch")


def environment() -> dict[str, str | int | None]:
    """The machine in kind and the versions; a package that is not installed is left out."""
    found = {name: version for name in PACKAGES if (version := version_of(name)) is not None}
    return {
        "cpu": cpu(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": gpu(),
        "python": platform.python_version(),
        **found,
    }


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
