"""Runs plans in the TensorRT that built them. Untested on hardware.

No machine that this was made on has both a GPU that TensorRT-RTX takes and the libraries of
TensorRT: the calls are checked against the real signatures of every version, not against a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from un_deploy.arguments.names import argument
from un_deploy.engines.plan.load import LoadedPlan, load_engine
from un_deploy.engines.plan.manifest import input_spec
from un_deploy.errors import InputError, needs
from un_deploy.graph.model.input_specs import Feeds, TensorSpec, check_feeds
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.tensorrt.execution import Execution
from un_deploy.runtime.tensorrt.profiler import layer_information, times_of_layers

if TYPE_CHECKING:
    import torch

Mode = Literal["enqueue", "cuda-graph"]


@dataclass(frozen=True)
class PlanRuntime:
    """See `un_deploy.runtime.protocol.TakesPlans`. Untested on hardware.

    Args:
        mode: "enqueue": every run is enqueued by TensorRT; "cuda-graph": captured once as a CUDA
            graph, and replayed.
        device: of torch, for inputs and outputs.
    """

    mode: Mode = "enqueue"
    device: str = "cuda"

    def load_plan(self, path: Path) -> PlanSession:
        """Load a plan, in the flavour that its manifest names.

        Raises:
            MissingPackageError: that flavour, or torch, is not installed.
            InputError: see `un_deploy.engines.plan.load.load_engine`.
        """
        plan, manifest = load_engine(path)
        return PlanSession(plan, tuple(map(input_spec, manifest.inputs)), self)


class PlanSession:
    """See `un_deploy.runtime.protocol.Session`.

    Raises:
        MissingPackageError: torch, which holds inputs and outputs, is not installed.
        InputError: torch has no CUDA; or see `Execution`.
    """

    def __init__(
        self, plan: LoadedPlan, inputs: tuple[TensorSpec, ...], runtime: PlanRuntime
    ) -> None:
        with needs("torch"):
            import torch

        self._on_cuda = runtime.device.startswith("cuda")
        if self._on_cuda and not torch.cuda.is_available():
            raise InputError(
                f"{plan.origin} runs on an NVIDIA GPU, and this torch sees none: install a torch "
                "with CUDA (un-deploy doctor)"
            )
        if runtime.mode == "cuda-graph" and not self._on_cuda:
            raise InputError(f"a CUDA graph needs a CUDA device, not {runtime.device}")
        self.inputs = inputs
        self._plan, self._runtime = plan, runtime
        # On the default stream TensorRT would wait for the device at every run.
        self._stream = torch.cuda.Stream() if self._on_cuda else None
        self._execution = Execution(plan, runtime.device)

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`; a plan gives its outputs alone."""
        from un_deploy.runtime.torch_graph.tensors import to_numpy

        names = list(self._execution.outputs if fetch is None else fetch)
        for name in names:
            if name not in self._execution.outputs:
                raise InputError(
                    f"{self._plan.origin} gives {', '.join(self._execution.outputs)}, not {name}: "
                    f"build it with {argument('outputs', name)}"
                )
        self._check(feeds)
        with self._current_stream():
            tensors = self._execution.put(feeds)
            outputs = self._execution.bind(tensors)
            self._execution.enqueue()
            return {name: to_numpy(outputs[name]) for name in names}

    def timer(self, feeds: Feeds) -> Timer:
        """See `un_deploy.runtime.protocol.Session`; the device's own clock is read."""
        from un_deploy.runtime.torch_graph.runtime import device_timer, host_timer

        self._check(feeds)
        with self._current_stream():
            tensors = self._execution.put(feeds)
            prepare, run = self._prepared(tensors)
            timed = device_timer(run) if self._on_cuda else host_timer(run)
            prepare()
            timed(1)

        def seconds(runs: int) -> float:
            with self._current_stream():
                prepare()  # another shape may have run in between
                return timed(runs)

        return seconds

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """See `un_deploy.runtime.layer_times.TellsLayers`; layer by layer, so never as a graph."""
        self._check(feeds)
        with self._current_stream():
            execution = Execution(self._plan, self._runtime.device)
            tensors = execution.put(feeds)
            outputs = execution.bind(tensors)
            for _ in range(warm_up):
                execution.enqueue()
            times = times_of_layers(self._plan, execution, runs, self._wait)
            self._execution.warnings |= execution.warnings
            del outputs  # lived until here, since the engine wrote there
            return times

    def layer_information(self, feeds: Feeds) -> str:
        """See `un_deploy.runtime.layer_times.TellsEngineLayers`."""
        self._check(feeds)
        with self._current_stream():
            execution = Execution(self._plan, self._runtime.device)
            execution.bind(execution.put(feeds))
            return layer_information(self._plan, execution)

    def activation_bytes(self, feeds: Feeds) -> int:
        """Device memory that a run takes beside weights, inputs and outputs."""
        self._check(feeds)
        engine = self._plan.engine
        index = self._execution.profile_for({name: a.shape for name, a in feeds.items()})
        if hasattr(engine, "get_device_memory_size_for_profile_v2"):
            return int(engine.get_device_memory_size_for_profile_v2(index))
        return int(engine.get_device_memory_size_for_profile(index))

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`."""
        return RunMemory(
            self.activation_bytes(feeds),
            "what TensorRT reserves for activations and scratch, outputs not included",
        )

    def how_it_ran(self) -> HowItRan:
        """See `un_deploy.runtime.how_it_ran.TellsHowItRan`."""
        return HowItRan(tuple(dict.fromkeys((*self._plan.warnings, *self._execution.warnings))))

    def _prepared(
        self, tensors: dict[str, torch.Tensor]
    ) -> tuple[Callable[[], object], Callable[[], object]]:
        """What sets an execution up for these inputs, and what runs it, the former not timed."""
        execution = self._execution
        if self._runtime.mode == "enqueue":
            held: dict[str, torch.Tensor] = {}
            return lambda: held.update(execution.bind(tensors)), execution.enqueue
        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

        def call(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = execution.bind(dict(zip(tensors, inputs, strict=True)))
            execution.enqueue()
            return tuple(outputs.values())

        graph = CudaGraph(call, list(tensors.values()))
        return lambda: None, graph.replay

    def _check(self, feeds: Feeds) -> None:
        try:
            for name in feeds.keys() - set(self._execution.inputs):
                raise InputError(
                    f"it has no input {name}; it has {', '.join(self._execution.inputs)}"
                )
            check_feeds(self.inputs, feeds)
        except InputError as error:
            raise InputError(f"{self._plan.origin} cannot be run: {error}") from error

    def _wait(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()

    @contextmanager
    def _current_stream(self) -> Iterator[None]:
        import torch

        with torch.inference_mode(), torch.cuda.stream(self._stream):
            yield
