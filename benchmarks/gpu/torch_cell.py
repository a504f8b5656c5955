"""A cell in torch: its modules on the device, compiled where they are to be."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from benchmarks.gpu.cells import Cell
from benchmarks.gpu.gates import Gate, RefusedError, no_norm_left
from benchmarks.gpu.prepare import modules_file
from un_deploy.errors import InputError
from un_deploy.measure.speed.timing_process import check_alike
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph
from un_deploy.runtime.torch_graph.memory import peak_bytes
from un_deploy.runtime.torch_graph.recognize import counts
from un_deploy.runtime.torch_graph.runtime import device_timer, host_timer

BUFFERS = 2
"""Sets of input buffers that runs take in turn."""


class TorchCell:
    """A cell's modules on the device, with weights of their own.

    Args:
        cell: not one that takes the ONNX file.
        folder: with what was prepared.
        device: as torch names it.
        feeds: in the order of the graph's inputs.

    Attributes:
        variants: those that were prepared.
        precision: in which they compute.

    Raises:
        InputError: this machine cannot run it.
        RefusedError: the variants are not alike in what was recognised.
    """

    @torch.inference_mode()
    def __init__(self, cell: Cell, folder: Path, device: str, feeds: dict[str, np.ndarray]) -> None:
        self._cell, self._device, self._on_cuda = cell, device, device.startswith("cuda")
        if cell.mode in ("cuda-graph", "max-autotune") and not self._on_cuda:
            raise InputError(f"{cell.mode} needs a CUDA device")
        self._captured = self._on_cuda and cell.mode != "eager"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        files = {name: modules_file(folder, cell, name) for name in cell.variants}
        made = {n: _modules(file)[cell.batch] for n, file in files.items() if file.is_file()}
        try:
            check_alike({name: counts(module) for name, module in made.items()})
        except InputError as error:
            raise RefusedError(str(error)) from error
        tensors = [torch.from_numpy(array).to(device) for array in feeds.values()]
        dtype = getattr(torch, cell.precision)
        self._inputs = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
        self._modules = {name: _renewed(copy.copy(one), device) for name, one in made.items()}
        self._calls: dict[str, Callable[..., Any]] = dict(self._modules)
        self._compiled_s: dict[str, float] = {}
        for name, module in self._modules.items() if cell.compiled else ():
            # The CUDA graph is ours, so that all modes are captured alike.
            mode = "max-autotune-no-cudagraphs" if cell.mode == "max-autotune" else None
            start = time.perf_counter()
            self._calls[name] = torch.compile(module, fullgraph=True, dynamic=False, mode=mode)
            self._calls[name](*self._inputs)
            self._compiled_s[name] = round(time.perf_counter() - start, 2)
        self.variants, self.precision = list(made), str(cell.precision)

    @torch.inference_mode()
    def outputs(self, variant: str) -> list[np.ndarray]:
        """What it gives, in the order of the graph's outputs."""
        return [out.float().cpu().numpy() for out in self._calls[variant](*self._inputs)]

    @torch.inference_mode()
    def timer(self, variant: str) -> Timer:
        """A timer on weights and inputs of its own.

        What is captured keeps the addresses it was captured with, so one compiled function serves
        all its captures, each on other copies of the weights. What is compiled and not captured
        shares its weights with the second entry of its variant: another module would be compiled
        anew.
        """
        module, call = self._modules[variant], self._calls[variant]
        if not self._cell.compiled:
            module = call = copy.copy(module)
        _renewed(module, self._device)
        if self._captured:
            runs = [CudaGraph(call, self._inputs).replay for _ in range(BUFFERS)]
        else:
            runs = [partial(call, *(t.clone() for t in self._inputs)) for _ in range(BUFFERS)]
        weights = list(module.buffers())  # which a captured graph does not keep alive
        turns = cycle([(run, weights) for run in runs])
        timer = device_timer if self._on_cuda else host_timer
        return timer(lambda: next(turns)[0]())

    def gates(self) -> list[Gate]:
        """What the graphs themselves must fulfil."""
        both = [self._modules[name] for name in ("folded", "none") if name in self._modules]
        return [no_norm_left(*both)] if len(both) == 2 else []

    @torch.inference_mode()
    def facts(self) -> dict[str, Any]:
        """Memory of a run, seconds until the host has handed one over, seconds of compiling."""
        found: dict[str, Any] = {"compiled_s": self._compiled_s}
        for name, call in self._calls.items() if self._on_cuda else ():
            run = partial(call, *self._inputs)
            found.setdefault("peak_bytes", {})[name] = peak_bytes(run, self._device)
            if self._captured:
                CudaGraph(call, self._inputs)  # what libraries allocate at first is no variant's
                held = CudaGraph(call, self._inputs).pool_bytes()
                found.setdefault("pool_bytes", {})[name] = held
            else:
                start = time.perf_counter()
                run()
                found.setdefault("queued_s", {})[name] = time.perf_counter() - start
                torch.cuda.synchronize()
        return found

    @torch.inference_mode()
    def kernels(self) -> dict[str, int]:
        """Kernels, copies and fills of one run of each variant, by the profiler; none on a CPU.

        A profiler that has once been on may slow down every later launch of its process: nothing
        must be timed there any more.
        """
        from torch.autograd import DeviceType
        from torch.profiler import ProfilerActivity, profile

        found = {}
        for name, call in self._calls.items() if self._on_cuda else ():
            call(*self._inputs)
            torch.cuda.synchronize()
            with profile(activities=[ProfilerActivity.CUDA]) as profiled:
                call(*self._inputs)
                torch.cuda.synchronize()
            events = profiled.events()
            found[name] = sum(event.device_type == DeviceType.CUDA for event in events)
        return found


def _renewed(module: fx.GraphModule, device: str) -> fx.GraphModule:
    """The module with its weights copied to new places; what is shared stays shared."""
    copies: dict[tuple[Any, ...], Tensor] = {}
    for name, tensor in module.named_buffers(remove_duplicate=False):
        key = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if key not in copies:
            copies[key] = tensor.to(device, copy=True)
        setattr(module, name, copies[key])
    return module


@cache
def _modules(path: Path) -> dict[int, fx.GraphModule]:
    modules: dict[int, fx.GraphModule] = torch.load(path, weights_only=False, mmap=True)
    return modules
