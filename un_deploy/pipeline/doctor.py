"""What this machine can do: the packages of each extra, and the GPU."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata

from un_deploy.errors import InputError
from un_deploy.gpu import Gpu, gpus, with_unit
from un_deploy.json_form import JsonForm
from un_deploy.version import __version__, version_of

DISTRIBUTION = "un-deploy"

#: What each extra is for; extras that only developers need are not looked at.
EXTRAS = {
    "": "fold, strip, verify, inspect",
    "torch": "UnifiedNorm, export",
    "cpu": "verify and demo in ONNX Runtime",
    "gpu": "ONNX Runtime on an NVIDIA GPU",
    "rtx": "build with TensorRT-RTX",
    "tensorrt": "build with TensorRT",
    "triton": "Triton model repositories",
    "report": "comparisons as HTML pages",
}


@dataclass(frozen=True)
class Extra:
    """A group of packages and what it is for.

    Attributes:
        name: of the extra; empty for what is always installed.
        purpose: what needs it.
        packages: the version of each package; None where it is missing.
        install: the command that installs what is missing; empty where nothing is.
    """

    name: str
    purpose: str
    packages: dict[str, str | None]
    install: str


@dataclass(frozen=True)
class DoctorReport(JsonForm):
    """The machine.

    Attributes:
        version: of un-deploy.
        machine: operating system and processor.
        extras: the packages, by extra.
        gpus: name, memory and driver of each, as the driver tells; empty where there is none.
        report_version: of this form.
    """

    version: str
    python: str
    machine: str
    extras: tuple[Extra, ...]
    gpus: tuple[str, ...]
    report_version: int = 1


def examine() -> DoctorReport:
    """Look at this machine; only package metadata is read, and the driver asked for GPUs.

    Raises:
        InputError: un-deploy runs from a folder, and so declares no packages.
    """
    return DoctorReport(
        version=__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        extras=tuple(_extra(name, purpose) for name, purpose in EXTRAS.items()),
        gpus=tuple(map(_described, gpus())),
    )


def _extra(name: str, purpose: str) -> Extra:
    packages = {package: version_of(package) for package in _packages(name)}
    complete = all(packages.values())
    target = f"{DISTRIBUTION}[{name}]" if name else DISTRIBUTION
    return Extra(name, purpose, packages, "" if complete else f'pip install "{target}"')


def _packages(extra: str) -> list[str]:
    """What the metadata of this distribution lists under an extra."""
    try:
        requirements = metadata.requires(DISTRIBUTION)
    except metadata.PackageNotFoundError as error:
        raise InputError(
            f"{DISTRIBUTION} is not installed, it only runs from its folder: pip install -e ."
        ) from error
    found = []
    for requirement in requirements or ():
        package, _, marker = requirement.partition(";")
        of = re.search(r"""extra\s*==\s*["']([^"']+)""", marker)
        if (of.group(1) if of else "") == extra:
            found.append(re.split(r"[^\w.-]", package.strip(), maxsplit=1)[0])
    return found


def _described(one: Gpu) -> str:
    memory = None if one.memory_bytes is None else one.memory_bytes >> 20
    return f"{one.name}, {with_unit(memory, 'MiB')}, {one.driver}"
