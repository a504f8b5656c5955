"""The backends, by the names that users give them: one table, from which all lists are made.

A runtime is a folder beside this file and an entry here. An entry imports its runtime when one is
made, so the table itself loads nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from un_deploy.arguments.names import argument
from un_deploy.cpus import limited_threads
from un_deploy.errors import InputError, MissingPackageError
from un_deploy.install import how_to_install
from un_deploy.runtime import what_is_measured as told
from un_deploy.runtime.settings import Fusions, RunSettings, Setting

if TYPE_CHECKING:
    from un_deploy.engines.flavor import Flavor
    from un_deploy.runtime.protocol import Runtime, Session


@dataclass(frozen=True)
class Backend:
    """One way to run a network.

    Attributes:
        name: as users give it.
        help: what it is, in one line.
        make: its runtime for settings, and for fusions of ONNX Runtime.
        timed: what its times are.
        extra: of un-deploy, with what it needs; "": nothing that pip installs.
        module: Python's, by which "auto" finds it; "": it is never chosen by itself.
        on_gpu: whether it computes on the first GPU, whatever the settings.
        takes: which of the settings it takes; the others are refused.
        builds_engines: whether it builds an engine, in a precision, and shows no inner tensors.
        check_machine: of what builds engines: refuses a machine that cannot run them, and says why.
        takes_plans: the flavours of TensorRT whose plans it runs.
        tells_layers: whether it tells the times of layers. What is captured or compiled runs as
            one, and ONNX Runtime on CUDA times the launch of kernels.
        tells_memory: what a run holds in memory, as it counts.
        inner_tensors: the backend that shows them in its place; "": it does itself.
        has_fusions: whether ONNX Runtime's fusions can be left out: then those are forms of LN.
        keeps_logs: whether it has files of its own to keep.
        threads: sets the number of threads where that is one for the whole process, and afterwards
            sets it back; None: each session has its own.
    """

    name: str
    help: str
    make: Callable[[RunSettings, Fusions], Runtime]
    timed: told.WhatIsTimed
    extra: str
    module: str = ""
    on_gpu: bool = False
    takes: tuple[Setting, ...] = ()
    builds_engines: bool = False
    check_machine: Callable[[], None] = lambda: None
    takes_plans: tuple[Flavor, ...] = ()
    tells_layers: bool = False
    tells_memory: str = ""
    inner_tensors: str = ""
    has_fusions: bool = False
    keeps_logs: bool = False
    threads: Callable[[int], AbstractContextManager[None]] | None = None


def _onnxruntime(
    device: Literal["cpu", "cuda"], settings: RunSettings, fusions: Fusions
) -> Runtime:
    from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

    threads = settings.threads if device == "cpu" else None
    tf32 = device == "cpu" or settings.tf32
    return OnnxRuntime(threads=threads, device=device, fusions=fusions, tf32=tf32)


def _torch(
    mode: Literal["eager", "cuda-graph", "compile"], settings: RunSettings, fusions: Fusions
) -> Runtime:
    from un_deploy.runtime.torch_graph import TorchRuntime

    return TorchRuntime(device=settings.device, mode=mode, tf32=settings.tf32)


def _torch_threads(count: int) -> AbstractContextManager[None]:
    from un_deploy.runtime.torch_graph.runtime import process_threads

    return process_threads(count)


def _trtexec(settings: RunSettings, fusions: Fusions) -> Runtime:
    from un_deploy.runtime.trtexec.runtime import TrtexecRuntime

    return TrtexecRuntime(settings.precision, tf32=settings.tf32)


def _check_trtexec() -> None:
    from un_deploy.runtime.trtexec.run_trtexec import Trtexec

    assert Trtexec().version


def _check_tensorrt(flavor: Flavor) -> None:
    from un_deploy.runtime.tensorrt.machine import check_machine

    check_machine(flavor)


def _tensorrt(flavor: Flavor, settings: RunSettings, fusions: Fusions) -> Runtime:
    from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime

    return EngineRuntime(flavor, settings.precision, tf32=settings.tf32)


_TABLE = (
    Backend(
        name="ort-cpu",
        help="ONNX Runtime on the CPU",
        make=partial(_onnxruntime, "cpu"),
        timed=told.RUN_CALLS,
        extra="cpu",
        module="onnxruntime",
        takes=("threads",),
        tells_layers=True,
        tells_memory=told.ORT_MEMORY,
        has_fusions=True,
    ),
    Backend(
        name="ort-cuda",
        help="ONNX Runtime on an NVIDIA GPU",
        make=partial(_onnxruntime, "cuda"),
        timed=told.BOUND_RUNS,
        extra="gpu",
        on_gpu=True,
        takes=("tf32",),
        tells_memory=told.ORT_MEMORY,
        has_fusions=True,
    ),
    Backend(
        name="torch",
        help="torch, call by call",
        make=partial(_torch, "eager"),
        timed=told.CALLS.over(told.LAUNCHES),
        extra="torch",
        module="torch",
        tells_layers=True,
        tells_memory=f"{told.TORCH_MEMORY} what torch's CUDA allocator gave out, outputs included",
        takes=("threads", "device", "tf32"),
        threads=_torch_threads,
    ),
    Backend(
        name="torch-cuda-graph",
        help="torch, captured as one CUDA graph",
        make=partial(_torch, "cuda-graph"),
        timed=told.REPLAYS,
        extra="torch",
        tells_memory=told.GRAPH_MEMORY,
        inner_tensors="torch",
        takes=("threads", "device", "tf32"),
        threads=_torch_threads,
    ),
    Backend(
        name="torch-compile",
        help="torch, compiled by inductor; on CUDA captured as well",
        make=partial(_torch, "compile"),
        timed=told.CALLS.over(told.REPLAYS),
        extra="torch",
        tells_memory=f"{told.TORCH_MEMORY} {told.GRAPH_MEMORY}",
        inner_tensors="torch",
        takes=("threads", "device", "tf32"),
        threads=_torch_threads,
    ),
    Backend(
        name="trtexec",
        help="NVIDIA's trtexec of TensorRT 10 or 11; every sample is a run of its own",
        make=_trtexec,
        timed=told.TRTEXEC,
        extra="",
        on_gpu=True,
        takes=("precision", "tf32"),
        builds_engines=True,
        check_machine=_check_trtexec,
        takes_plans=("tensorrt",),
        tells_layers=True,
        tells_memory=(
            "of a plan what its manifest says that the builder told, for all its profiles; of an "
            "engine nothing, since trtexec's files hold no memory"
        ),
        inner_tensors="auto",
        keeps_logs=True,
    ),
    Backend(
        name="tensorrt",
        help="an engine of TensorRT",
        make=partial(_tensorrt, "tensorrt"),
        timed=told.REPLAYS,
        extra="tensorrt",
        on_gpu=True,
        takes=("precision", "tf32"),
        builds_engines=True,
        check_machine=partial(_check_tensorrt, "tensorrt"),
        takes_plans=("tensorrt",),
        tells_layers=True,
        tells_memory=told.ENGINE_MEMORY,
        inner_tensors="auto",
    ),
    Backend(
        name="tensorrt-rtx",
        help="an engine of TensorRT-RTX",
        make=partial(_tensorrt, "tensorrt-rtx"),
        timed=told.REPLAYS,
        extra="rtx",
        on_gpu=True,
        takes=("precision", "tf32"),
        builds_engines=True,
        check_machine=partial(_check_tensorrt, "tensorrt-rtx"),
        takes_plans=("tensorrt-rtx",),
        tells_layers=True,
        tells_memory=told.ENGINE_MEMORY,
        inner_tensors="auto",
    ),
)

BACKENDS: dict[str, Backend] = {backend.name: backend for backend in _TABLE}


def backend_named(name: str) -> Backend:
    """The entry of a name.

    Raises:
        InputError: there is none.
    """
    if name not in BACKENDS:
        raise InputError(f"there is no backend {name!r}; there are {', '.join(BACKENDS)}")
    return BACKENDS[name]


def runtime_of(settings: RunSettings, fusions: Fusions = "all") -> Runtime:
    """The runtime behind a backend.

    Raises:
        InputError: there is no such backend.
    """
    return backend_named(settings.backend).make(settings, fusions)


def load_file(path: Path, settings: RunSettings, fusions: Fusions = "all") -> Session:
    """A session of an ONNX file; or of a plan with its manifest beside it, which has its precision.

    Raises:
        InputError: the file cannot be read, or the backend refuses it.
        MissingPackageError: the backend is not installed.
    """
    from un_deploy.engines.plan.header import is_plan
    from un_deploy.runtime.protocol import TakesPlans

    runtime = runtime_of(settings, fusions)
    if not is_plan(path):
        return runtime.load(path)
    if isinstance(runtime, TakesPlans):
        return runtime.load_plan(path)
    raise InputError(f"{path} is a plan: TensorRT runs it, not {settings.backend}")


def installed_runtimes() -> list[Runtime]:
    """What can judge a whole network here: ONNX Runtime, then torch, each if it is installed."""
    found = [one for one in BACKENDS.values() if one.module and find_spec(one.module)]
    return [runtime_of(RunSettings(one.name)) for one in found]


def choose_backend(backend: str) -> str:
    """The backend itself, or for "auto" the first that is installed: ONNX Runtime, then torch.

    Raises:
        MissingPackageError: none is installed.
    """
    if backend != "auto":
        return backend
    found = [one for one in BACKENDS.values() if one.module]
    for one in found:
        if find_spec(one.module):
            return one.name
    how = how_to_install(*(one.extra for one in found))
    raise MissingPackageError(f"a comparison needs a runtime: {how}")


def require_layers(backend: str) -> None:
    """Refuse a backend that cannot tell the times of layers, before it is used.

    Raises:
        InputError: it cannot; names those that can.
    """
    if not backend_named(backend).tells_layers:
        able = ", ".join(one.name for one in BACKENDS.values() if one.tells_layers)
        raise InputError(
            f"{backend} cannot tell the times of its layers ({argument('profile')}); {able} can"
        )


def threads_of_process(settings: RunSettings) -> AbstractContextManager[None]:
    """The number of threads of a backend that has one setting for the whole process."""
    set_threads = backend_named(settings.backend).threads
    count = settings.threads or limited_threads()
    if set_threads is None or count is None:
        return nullcontext()
    return set_threads(count)
