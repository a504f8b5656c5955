"""What this machine can do: the packages of each extra, whether they load, and the GPU."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.gpu import VISIBLE, Driver, Gpu, ask_driver, with_unit
from un_deploy.install import how_to_install
from un_deploy.json_form import JsonForm
from un_deploy.pipeline.abilities import Requirement, Served, lacking, servings, unbuilt_for
from un_deploy.printed import Part, Printed, Table, Typed, Words
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.loads import WITHIN_S, Load, driver_crash, load_each
from un_deploy.runtime.trtexec.find import find_binary, read_version
from un_deploy.runtime.trtexec.flags import check_version
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
    "transformers": "export and compare of Hugging Face folders",
    "timm": "export and compare of timm models",
    "triton": "Triton model repositories",
    "report": "comparisons as HTML pages",
}


LIGHT = ("", "triton", "report")
"""Extras whose packages are loaded one by one; the others' are runtimes, or come with torch."""


@dataclass(frozen=True)
class Extra:
    """A group of packages and what it is for.

    Attributes:
        name: of the extra; empty for what is always installed.
        purpose: what needs it.
        packages: the version of each package; None where it is missing.
        install: what installs what is missing; empty where nothing is.
    """

    name: str
    purpose: str
    packages: dict[str, str | None]
    install: str


@dataclass(frozen=True)
class DoctorReport(JsonForm, Printed):
    """The machine.

    Attributes:
        version: of un-deploy.
        machine: operating system and processor.
        extras: the packages, by extra.
        gpus: name, memory and driver of each that CUDA computes on, in its order.
        notes: on which GPUs that is, where it is not simply all.
        problems: what does not work of the driver or a GPU, in the driver's own words.
        loads: what became of loading each runtime; empty where that was not asked for.
        trtexec: its version and path, or why there is none.
        lacks: of what can be required (`abilities.REQUIREMENTS`) and is missing, why.
        served: what can be built here, and what can be served where.
        report_version: of this form.
    """

    version: str
    python: str
    machine: str
    extras: tuple[Extra, ...]
    gpus: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    loads: tuple[Load, ...]
    trtexec: str
    lacks: dict[Requirement, str]
    served: tuple[Served, ...]
    report_version: int = 1

    def told(self) -> Iterator[Part]:
        """What is installed, what installs the rest, whether it works, and what is served where."""
        yield f"un-deploy {self.version}, Python {self.python}, {self.machine}"
        rows = [
            (*(("", "") if row else (one.name or "(base)", one.purpose)), name, version or "-")
            for one in self.extras
            for row, (name, version) in enumerate(one.packages.items())
        ]
        yield Table(("extra", "for", "package", "version"), rows)
        runs = [(one.name, one.help, one.extra or "(not by pip)") for one in BACKENDS.values()]
        yield Table((argument("backend"), "runs in", "extra"), runs)
        for extra in self.extras:
            if extra.install and (self.gpus or extra.name not in ("gpu", "tensorrt")):
                yield from _advice(f"For {extra.purpose}:", extra.install)
        for one in self.loads:
            said = f"does not work: {one.problem}" if one.problem else "loads"
            yield f"{f'{one.name} {one.version}'.strip()} {said}"
        yield f"trtexec: {self.trtexec}"
        for found in self.gpus:
            yield f"GPU: {found}"
        if "gpu" in self.lacks and not self.gpus:
            yield "No NVIDIA GPU: no driver here tells of one that CUDA may use."
        for note in self.notes:
            yield Words(f"Note: {note}.", "muted")
        for problem in self.problems:
            yield f"NVIDIA's driver: {problem}."
        made = [(one.what, "no" if one.lacks else "yes", one.by, one.on) for one in self.served]
        yield Table(("what is served", "made here", "by", "on"), made)


def _advice(what: str, install: str) -> Iterator[Part]:
    """How to get something: a command has a line of its own, so that it can be copied."""
    if install.startswith("pip "):
        yield what
        yield Typed(install)
    else:
        yield f"{what} {install}"


def examine(*, load: bool = True, gpu: bool = True) -> DoctorReport:
    """Look at this machine: package metadata, what the driver tells, and trtexec.

    Args:
        load: also load each runtime, in a process of its own, and what else is installed.
        gpu: ask the driver, and let each runtime reach the GPU.

    Raises:
        InputError: un-deploy runs from a folder, and so declares no packages.
    """
    driver = _driver() if gpu else Driver()
    extras = tuple(_extra(name, purpose) for name, purpose in EXTRAS.items())
    there = [one for one in extras if one.name in LIGHT]
    light = [name for one in there for name, version in one.packages.items() if version]
    cuda = bool(driver.gpus or driver.problems)
    loads = load_each(cuda=cuda, packages=light) if load else ()
    versions = {name: found for one in extras for name, found in one.packages.items()}
    lacks = lacking(versions, loads, driver if gpu else None)
    builds_for = next((one.builds_for for one in loads if one.builds_for), ())
    return DoctorReport(
        version=__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        extras=extras,
        gpus=tuple(map(_described, driver.gpus)),
        notes=(*_notes(driver), *_unbuilt(driver, builds_for)),
        problems=driver.problems,
        loads=loads,
        trtexec=_trtexec(),
        lacks=lacks,
        served=servings(lacks, builds_for),
    )


def _driver() -> Driver:
    crash = driver_crash()
    return Driver(problems=(crash,)) if crash else ask_driver()


def _extra(name: str, purpose: str) -> Extra:
    packages = {package: version_of(package) for package in _packages(name)}
    complete = all(packages.values())
    return Extra(name, purpose, packages, "" if complete else how_to_install(*filter(None, [name])))


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


def _notes(driver: Driver) -> Iterator[str]:
    if (system := platform.system()) != "Linux":
        yield f"un-deploy is for Linux alone: on {system} nothing of it is tested"
    chosen, there = os.environ.get(VISIBLE), len(driver.all_gpus)
    if chosen is not None and there:
        yield f"{VISIBLE}={chosen}: CUDA computes on {len(driver.gpus)} of {there}"
    by_number = not (chosen or "").startswith(("GPU-", "MIG-"))
    ordered = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if by_number and not ordered and len(set(driver.all_gpus)) > 1:
        yield (
            "the GPUs differ, and CUDA may count them in another order than the driver: set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
    if driver.cuda:
        yield f"driver {driver.version} runs CUDA up to {driver.cuda}"


def _unbuilt(driver: Driver, builds_for: Sequence[str]) -> Iterator[str]:
    for one in unbuilt_for(driver.gpus, builds_for):
        yield f"TensorRT-RTX builds no plan for {one}: take TensorRT, or ONNX Runtime"


def _trtexec() -> str:
    try:
        binary = find_binary()
        version = read_version(binary, within_s=WITHIN_S)
        told = f"{version}, {binary}"
    except InputError as error:
        return str(error)
    try:
        check_version(version.major)
    except InputError as error:
        return f"{told}: not used, since {error}"
    return told
