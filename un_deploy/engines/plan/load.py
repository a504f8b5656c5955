"""Loads a plan into the installed TensorRT; a plan of another library is refused before that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from un_deploy.engines.flavor import TITLES, Flavor, described, library
from un_deploy.engines.log import Message, first_error, listening, logger, warnings_of
from un_deploy.engines.plan.manifest import Manifest, load_plan
from un_deploy.errors import InputError
from un_deploy.gpu import first_gpu

if TYPE_CHECKING:
    from tensorrt import ICudaEngine, Runtime


@dataclass(frozen=True)
class LoadedPlan:
    """A plan on the GPU.

    Attributes:
        origin: what messages call it.
        runtime: must live as long as the engine.
        warnings: of TensorRT while it loaded the plan, each once.
    """

    origin: str
    flavor: Flavor
    engine: ICudaEngine
    runtime: Runtime
    warnings: tuple[str, ...] = ()


def load_engine(path: Path) -> tuple[LoadedPlan, Manifest]:
    """Load a plan that has its manifest beside it.

    A plan is code for a GPU: load only those that you, or someone you trust, have built.

    Raises:
        MissingPackageError: the plan's flavour of TensorRT is not installed.
        InputError: plan or manifest is missing or damaged, they differ, or the plan is of another
            version than the library; or the library does not load it, for example without a GPU.
    """
    plan, manifest = load_plan(path)
    trt = library(manifest.flavor)
    if not manifest.loads_in(Version(trt.__version__)):
        raise InputError(
            f"{path} was built with {TITLES[manifest.flavor]} {manifest.tensorrt}, and "
            f"{trt.__version__} is installed: build it again, or install that version"
        )
    return deserialized(plan, str(path), manifest.flavor, portable=manifest.portable), manifest


def deserialized(plan: bytes, origin: str, flavor: Flavor, *, portable: bool = False) -> LoadedPlan:
    """A plan that is known to be sound, loaded; messages call it by its origin.

    A portable one was built to run on later versions, and holds host code for that.

    Raises:
        InputError: the library does not start, or does not load it.
    """
    trt = library(flavor)
    with listening() as heard:
        try:
            runtime = trt.Runtime(logger(flavor))
        except (RuntimeError, TypeError) as error:  # the bindings' factory returned nothing
            raise InputError(f"{described(flavor)} does not start: {_why(heard)}") from error
        if portable:
            runtime.engine_host_code_allowed = True
        engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise InputError(f"{described(flavor)} cannot load {origin}: {_why(heard)}")
    return LoadedPlan(origin, flavor, engine, runtime, warnings_of(heard))


def _why(heard: list[Message]) -> str:
    """The library's first error; without a GPU that is only which call of CUDA failed."""
    told = first_error(heard)
    if "cuda" not in told.lower() or first_gpu() is not None:
        return told
    return f"it needs an NVIDIA GPU and its driver, and none answers here ({told})"
