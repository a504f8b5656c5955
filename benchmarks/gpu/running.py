"""A module on the device, run in one of the modes, on inputs that change from run to run."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

Call = Callable[[], Any]

BUFFERS = 2
"""Sets of input buffers that runs take in turn."""


@dataclass(frozen=True)
class Sample:
    """Seconds of one run, the mean over a sample.

    Attributes:
        device: by the device's own clock.
        wall: by the host's clock, until the device was done.
        queued: by the host's clock, until all runs were handed to the device.
    """

    device: float
    wall: float
    queued: float


@dataclass
class Entry:
    """Something that is timed.

    Attributes:
        calls: one for each set of input buffers.
        graph: the CUDA graph of the first; None where there is none.
        device: where it runs.
        holds: what must not be freed while it lives.
    """

    calls: Sequence[Call]
    device: str
    graph: CudaGraph | None = None
    holds: Any = None

    def sample(self, runs: int) -> Sample:
        """Time that many runs, one right after the other."""
        return self._on_cuda(runs) if self.device.startswith("cuda") else self._on_host(runs)

    def pool_bytes(self) -> int | None:
        """Bytes that its CUDA graph holds for activations and outputs, for one set of buffers."""
        return None if self.graph is None else self.graph.pool_bytes()

    def _on_cuda(self, runs: int) -> Sample:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start = time.perf_counter()
        begin.record()
        self._run(runs)
        end.record()
        queued = time.perf_counter() - start
        end.synchronize()
        wall = time.perf_counter() - start
        return Sample(begin.elapsed_time(end) / 1e3 / runs, wall / runs, queued / runs)

    def _on_host(self, runs: int) -> Sample:
        start = time.perf_counter()
        self._run(runs)
        taken = (time.perf_counter() - start) / runs
        return Sample(taken, taken, taken)

    def _run(self, runs: int) -> None:
        for number in range(runs):
            self.calls[number % len(self.calls)]()


def fresh(module: fx.GraphModule, device: str) -> fx.GraphModule:
    """The same graph with its own copies of all weights on the device, shared ones still shared."""
    made = copy.copy(module)
    renew(made, device)
    return made


def renew(module: fx.GraphModule, device: str) -> None:
    """Copy all weights of a module to new places on the device."""
    copies: dict[tuple[Any, ...], Tensor] = {}
    for part in module.modules():
        for name, tensor in part._buffers.items():
            if tensor is None:
                continue
            key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
            if key not in copies:
                copies[key] = torch.empty_like(tensor, device=device).copy_(tensor)
            part._buffers[name] = copies[key]


def captured_entry(
    call: Callable[..., Any], inputs: Sequence[Tensor], device: str, holds: Any = None
) -> Entry:
    """A call as CUDA graphs, one for each set of input buffers.

    Args:
        call: takes the inputs, returns a tuple.
        inputs: on the device; every set of buffers is a copy of them.
        device: as torch names it.
        holds: the weights that the call reads now: the graphs read them from where they are.
    """
    graphs = [CudaGraph(call, inputs) for _ in range(BUFFERS)]
    return Entry([graph.replay for graph in graphs], device, graphs[0], holds)


def plain_entry(call: Callable[..., Any], inputs: Sequence[Tensor], device: str) -> Entry:
    """A call as it is; see `captured_entry`."""
    sets = [[tensor.clone() for tensor in inputs] for _ in range(BUFFERS)]
    calls = [_bound(call, buffers) for buffers in sets]
    for one in calls:
        one()
    return Entry(calls, device)


def _bound(call: Callable[..., Any], buffers: Sequence[Tensor]) -> Call:
    return lambda: call(*buffers)


def kernels(call: Callable[..., Any], inputs: Sequence[Tensor], device: str) -> int | None:
    """Kernels of one run, counted by the profiler; None on a CPU, which has none.

    Copies and fills count: they are launches too.
    """
    if not device.startswith("cuda"):
        return None
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    call(*inputs)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        call(*inputs)
        torch.cuda.synchronize()
    return sum(event.device_type == DeviceType.CUDA for event in found.events())
