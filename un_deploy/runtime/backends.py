"""The backends of a comparison, by the names that users give them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, get_args

from un_deploy.errors import InputError, MissingPackageError
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.onnxruntime.runtime import Fusions, OnnxRuntime
from un_deploy.runtime.protocol import Runtime
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime

Backend = Literal[
    "ort-cpu",
    "ort-cuda",
    "torch",
    "torch-cuda-graph",
    "torch-compile",
    "trtexec",
    "tensorrt",
    "tensorrt-rtx",
]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


ENGINES: tuple[Backend, ...] = ("trtexec", "tensorrt", "tensorrt-rtx")
"""Those that build an engine, in a precision, and show no inner tensors."""

LAYER_BY_LAYER: tuple[Backend, ...] = ("ort-cpu", "torch", *ENGINES)
"""Those that tell the times of layers. What is captured or compiled runs as one, and ONNX Runtime
on CUDA times the launch of kernels."""


def require_layers(backend: Backend) -> None:
    """Refuse a backend that cannot tell the times of layers, before it is used.

    Raises:
        InputError: it cannot; names those that can.
    """
    if backend not in LAYER_BY_LAYER:
        raise InputError(
            f"{backend} cannot tell the times of its layers; {', '.join(LAYER_BY_LAYER)} can"
        )


def runtime_of(
    backend: Backend,
    *,
    threads: int | None = None,
    device: str = "cpu",
    fusions: Fusions = "all",
    precision: Precision = "fp32",
) -> Runtime:
    """The runtime behind a backend.

    Args:
        backend: its name.
        threads: of ONNX Runtime on the CPU; torch has its own setting for the whole process.
        device: of torch, as it names devices.
        fusions: of ONNX Runtime.
        precision: of engines.
    """
    makers: dict[Backend, Callable[[], Runtime]] = {
        "ort-cpu": lambda: OnnxRuntime(threads=threads, fusions=fusions),
        "ort-cuda": lambda: OnnxRuntime(device="cuda", fusions=fusions),
        "torch": lambda: TorchRuntime(device=device),
        "torch-cuda-graph": lambda: TorchRuntime(device=device, mode="cuda-graph"),
        "torch-compile": lambda: TorchRuntime(device=device, mode="compile"),
        "trtexec": lambda: TrtexecRuntime(precision),
        "tensorrt": lambda: EngineRuntime("tensorrt", precision),
        "tensorrt-rtx": lambda: EngineRuntime("tensorrt-rtx", precision),
    }
    if backend not in makers:
        raise InputError(f"there is no backend {backend!r}; there are {', '.join(BACKENDS)}")
    return makers[backend]()


def choose_backend(backend: Backend | Literal["auto"]) -> Backend:
    """The backend itself, or for "auto" the first that is installed: ONNX Runtime, then torch.

    Raises:
        MissingPackageError: none is installed.
    """
    if backend != "auto":
        return backend
    if find_spec("onnxruntime"):
        return "ort-cpu"
    if find_spec("torch"):
        return "torch"
    raise MissingPackageError(
        'a comparison needs a runtime: pip install "un-deploy[cpu]" or "un-deploy[torch]"'
    )
