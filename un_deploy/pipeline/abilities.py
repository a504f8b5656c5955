"""What a machine lacks for a deployment, what is built on it, and what is served where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.gpu import Driver, Gpu
from un_deploy.install import how_to_install
from un_deploy.json_form import JsonForm
from un_deploy.runtime.loads import Load

Requirement = Literal["gpu", "tensorrt", "rtx", "ort-cuda", "triton"]

REQUIREMENTS: tuple[Requirement, ...] = get_args(Requirement)

_NO_GPU = "no driver here tells of a GPU that CUDA may use"

_PACKAGE = {
    "tensorrt": "tensorrt",
    "rtx": "tensorrt-rtx-cu13",
    "ort-cuda": "onnxruntime-gpu",
    "triton": "tritonclient",
}
"""Of each that is a package, its name."""

_EXTRA = {"ort-cuda": "gpu"}
"""Of those whose extra is called otherwise."""

_LOADED_AS = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx", "ort-cuda": "onnxruntime",
              "triton": "packages"}  # fmt: skip
"""The entry of `load_each` that tries it."""


@dataclass(frozen=True)
class Served(JsonForm):
    """Something that can be deployed.

    Attributes:
        what: a kind of file.
        lacks: why it cannot be made here; empty where it can.
        by: what runs it.
        on: the machines that do.
    """

    what: str
    lacks: str
    by: str
    on: str


def lacking(
    versions: Mapping[str, str | None], loads: Sequence[Load], driver: Driver | None
) -> dict[Requirement, str]:
    """Of each of `REQUIREMENTS` that is missing, why.

    Args:
        versions: of packages, None where one is not installed.
        loads: what became of loading them; empty where that was not tried.
        driver: of the GPUs; None: it was not asked, and GPUs are taken to be there.
    """
    problems = {one.name: one.problem for one in loads}
    no_gpu = "" if driver is None or driver.gpus else "; ".join(driver.problems) or _NO_GPU
    found: dict[Requirement, str] = {"gpu": no_gpu}
    for one in REQUIREMENTS[1:]:
        if versions.get(_PACKAGE[one]) is None:
            found[one] = how_to_install(_EXTRA.get(one, one))
        else:
            found[one] = problems.get(_LOADED_AS[one], "")
    for one in ("tensorrt", "ort-cuda"):  # TensorRT needs a GPU to build, too
        found[one] = found[one] or no_gpu
    return {name: reason for name, reason in found.items() if reason}


def require(lacks: Mapping[Requirement, str], wanted: Sequence[Requirement]) -> None:
    """Refuse a machine that lacks some of these.

    Raises:
        InputError: it does; says of each why.
    """
    missing = [f"{one}: {lacks[one]}" for one in wanted if one in lacks]
    if missing:
        raise InputError(f"{argument('require')} is not met: {'; '.join(missing)}")


def servings(lacks: Mapping[Requirement, str], rtx_builds_for: Sequence[str]) -> tuple[Served, ...]:
    """What can be built here, and what can be served where.

    Args:
        lacks: of this machine.
        rtx_builds_for: compute capabilities, as TensorRT-RTX tells them; empty: nothing was told.
    """
    return (
        Served("ONNX file", "", "ONNX Runtime; Triton's onnxruntime backend", "CPUs, NVIDIA GPUs"),
        Served(
            "TensorRT plan",
            lacks.get("tensorrt", ""),
            "Triton's tensorrt backend, trtexec, TensorRT, each of the version that built it",
            "the kind of GPU that built it",
        ),
        Served(
            "TensorRT-RTX plan",
            lacks.get("rtx", ""),
            "TensorRT-RTX of the version that built it; not Triton",
            _rtx_gpus(rtx_builds_for),
        ),
    )


def _rtx_gpus(capabilities: Sequence[str]) -> str:
    if not capabilities:
        return "those that TensorRT-RTX builds for"
    told = ", ".join(f"{one} (fp16 alone)" if one == "75" else one for one in capabilities)
    return f"compute capability {told}{'' if '90' in capabilities else '; not Hopper (90)'}"


def unbuilt_for(gpus: Sequence[Gpu], rtx_builds_for: Sequence[str]) -> list[str]:
    """The GPUs here that TensorRT-RTX does not build for, with their compute capability."""
    return [
        f"{one.name} ({one.compute_capability})"
        for one in gpus
        if rtx_builds_for and one.compute_capability not in (None, *rtx_builds_for)
    ]
