"""A file in a backend: an ONNX file, or a plan, which TensorRT and trtexec take as well."""

from __future__ import annotations

from pathlib import Path

from un_deploy.engines.plan.header import is_plan
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.backends import Backend, runtime_of
from un_deploy.runtime.onnxruntime.runtime import Fusions
from un_deploy.runtime.protocol import Session
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime


def load_file(
    path: Path,
    backend: Backend,
    *,
    threads: int | None = None,
    device: str = "cpu",
    fusions: Fusions = "all",
    precision: Precision = "fp32",
) -> Session:
    """A session of a file.

    Args:
        path: an ONNX file; or a plan with its manifest beside it, for the backend of its flavour
            or trtexec.
        backend, threads, device, fusions, precision: see `un_deploy.runtime.backends.runtime_of`;
            a plan has its precision.

    Raises:
        InputError: the file cannot be read, or the backend refuses it.
        MissingPackageError: the backend is not installed.
    """
    runtime = runtime_of(
        backend, threads=threads, device=device, fusions=fusions, precision=precision
    )
    if not is_plan(path):
        return runtime.load(load_model(path))
    if isinstance(runtime, TrtexecRuntime):
        return runtime.load_plan(path)
    if isinstance(runtime, EngineRuntime):
        return PlanRuntime(mode=runtime.mode).load_plan(path)
    raise InputError(f"{path} is a plan: TensorRT runs it, not {backend}")
