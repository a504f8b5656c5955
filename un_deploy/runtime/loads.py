"""Whether the driver answers, and what is installed loads, runtimes up to the GPU.

Each is tried in a process of its own, since a library that does not fit the driver may crash or
hang.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from signal import Signals

from un_deploy.engines.building.config import compute_capabilities
from un_deploy.engines.flavor import Flavor, library
from un_deploy.errors import InputError, first_line
from un_deploy.gpu import ask_driver
from un_deploy.runtime.torchvision import why_not
from un_deploy.version import version_of

WITHIN_S = 20.0
"""How long one may take; a container's health check waits little longer."""


@dataclass(frozen=True)
class Load:
    """What became of loading one.

    Attributes:
        name: of the Python package; "libcuda" is CUDA's library of the driver, "packages" all
            that are no runtimes.
        version: as it says itself.
        problem: why it cannot be used, in its own words; empty where it can.
        builds_for: compute capabilities that TensorRT-RTX builds for, such as "80".
    """

    name: str
    version: str
    problem: str
    builds_for: tuple[str, ...] = ()


def load_each(*, cuda: bool, packages: Sequence[str] = ()) -> tuple[Load, ...]:
    """Try every runtime that is installed, and other packages, all at once.

    Args:
        cuda: there is a GPU that they have to reach; then the driver's library is tried as well.
        packages: those that are no runtimes, as pip names them.
    """
    there = [name for name in _RUNTIMES if find_spec(name) or version_of(_BY_PIP.get(name, name))]
    driver = ["libcuda"] if cuda else []
    others = [f"{_PACKAGES} {' '.join(packages)}"] if packages else []
    return _try([*driver, *others, *there], cuda=cuda)


def driver_crash() -> str:
    """Why the driver cannot even be asked; empty where it answers, whatever it says."""
    (found,) = _try([_NVML], cuda=False)
    return f"{_NVML} {found.problem}" if found.problem else ""


def _try(names: Sequence[str], *, cuda: bool) -> tuple[Load, ...]:
    children = {name: _start(name, cuda=cuda) for name in names}
    ends = time.monotonic() + WITHIN_S
    try:
        return tuple(_end(name, child, ends) for name, child in children.items())
    finally:
        for child in children.values():
            child.kill()  # where this process was interrupted, or that one hangs


def _start(name: str, *, cuda: bool) -> subprocess.Popen[str]:
    # With the same path as here: by itself the child would look into the working directory first.
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import try_one; try_one()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "cuda" if cuda else "", *name.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )


def _end(asked: str, child: subprocess.Popen[str], ends: float) -> Load:
    name = asked.split()[0]
    try:
        told, errors = child.communicate(timeout=max(0, ends - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Load(name, "", f"does not load within {WITHIN_S:g} s")
    version, builds_for = [*told.splitlines(), "", ""][:2]
    return Load(name, version, _problem(child.returncode, errors), tuple(builds_for.split()))


def _problem(code: int, errors: str) -> str:
    if code == 0:
        return ""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    # TensorRT and ONNX Runtime log the reason, and then raise something else.
    logged = next((line for line in lines if re.search(r"\[E[]:]", line)), "")
    said = ": ".join(dict.fromkeys(filter(None, (logged, *lines[-1:]))))
    if code > 0:
        return said or f"ends with exit code {code}"
    signal = Signals(-code).name if -code in tuple(Signals) else f"signal {-code}"
    return f"crashes with {signal}{f': {said}' if said else ''}"


def try_one() -> None:
    """Load the runtime that the second argument names: what the child does."""
    cuda, name, *packages = sys.argv[1:]
    others: dict[str, Callable[[bool], None]] = {
        _NVML: _nvml,
        "libcuda": _libcuda,
        _PACKAGES: partial(_load_packages, packages),
    }
    try:
        {**_RUNTIMES, **others}[name](bool(cuda))
    except Exception as error:
        sys.exit(str(error) if isinstance(error, InputError) else first_line(error))


def _say(version: str) -> None:
    print(version, flush=True)  # before anything that may crash


def _load_packages(packages: Sequence[str], cuda: bool) -> None:
    """Import each; one whose folder or first file was emptied imports all the same."""
    _say("")
    problems = []
    for package in packages:
        try:
            file = import_module(_MODULES.get(package, package.replace("-", "_"))).__file__
            if file is None or not Path(file).stat().st_size:
                problems.append(f"{package} is empty")
        except Exception as error:
            problems.append(f"{package}: {first_line(error)}")
    if problems:
        raise InputError("; ".join(problems))


def _nvml(cuda: bool) -> None:
    _say(ask_driver().version)


def _libcuda(cuda: bool) -> None:
    driver = ctypes.CDLL("libcuda.so.1")
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    _say(f"{version.value // 1000}.{version.value % 1000 // 10}")
    if code := driver.cuInit(0):
        said = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(said))
        raise InputError((said.value or b"error").decode(errors="replace") + f" ({code})")


def _onnxruntime(cuda: bool) -> None:
    import onnxruntime

    _say(onnxruntime.__version__)
    if cuda and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        import onnx_ir as ir

        from un_deploy.runtime.backends import runtime_of
        from un_deploy.runtime.settings import RunSettings

        x = ir.val("x", ir.DataType.FLOAT, [1])
        node = ir.node("Neg", [x])
        node.outputs[0].dtype, node.outputs[0].shape = ir.DataType.FLOAT, ir.Shape([1])
        graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 17}, name="g")
        runtime_of(RunSettings("ort-cuda")).load(ir.Model(graph, ir_version=8))


def _torch(cuda: bool) -> None:
    import torch

    _say(torch.__version__)
    if cuda and torch.version.cuda:
        torch.zeros(1, device="cuda")


def _torchvision(cuda: bool) -> None:
    version = version_of("torchvision") or ""
    _say(version)
    if problem := why_not():
        raise InputError(problem.removeprefix(f"torchvision {version} "))


def _tensorrt(flavor: Flavor, cuda: bool) -> None:
    found = library(flavor)
    _say(found.__version__)
    _say(" ".join(name for name in compute_capabilities(flavor) if name != "current"))
    if cuda or flavor == "tensorrt-rtx":  # which needs no GPU to build
        found.Builder(found.Logger())


_NVML = "libnvidia-ml"
_PACKAGES = "packages"
_MODULES = {"nvidia-ml-py": "pynvml", "tritonclient": "tritonclient.grpc"}
"""What a package is imported by, where that is not its name."""

_BY_PIP = {"tensorrt_rtx": "tensorrt-rtx-cu13"}
"""What pip calls a runtime, where that is not its module's name."""

_RUNTIMES: dict[str, Callable[[bool], None]] = {
    "onnxruntime": _onnxruntime,
    "torch": _torch,
    "torchvision": _torchvision,
    "tensorrt": partial(_tensorrt, "tensorrt"),
    "tensorrt_rtx": partial(_tensorrt, "tensorrt-rtx"),
}
