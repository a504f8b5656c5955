"""What a measurement ran on: processor, system, versions, GPU; never the machine's name."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from shutil import which

PACKAGES = ("un-deploy", "numpy", "onnx", "onnx-ir", "onnxruntime", "onnxruntime-gpu", "torch")


def environment() -> dict[str, str | int | None]:
    """The machine in kind and the versions; a package that is not installed is left out."""
    found = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    return {
        "cpu": cpu(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "gpu": gpu(),
        "python": platform.python_version(),
        **found,
    }


def cpu() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def gpu() -> str | None:
    """Name, driver and clocks of the first GPU as nvidia-smi tells; None where there is none."""
    program = which("nvidia-smi")
    if program is None:
        return None
    query = "name,driver_version,clocks.sm,clocks.max.sm,persistence_mode"
    try:
        found = subprocess.run(
            [program, f"--query-gpu={query}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(found.stdout.splitlines()), None)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
