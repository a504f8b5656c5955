"""A module captured as one CUDA graph: its kernels are launched together, from fixed memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UP = 3
"""Runs before the capture, in which libraries choose kernels and allocate what they keep."""


class CudaGraph:
    """See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.

    Args:
        module: called with tensors on one CUDA device, returns a tuple; nothing in it may wait
            for the device.
        inputs: of the shapes it will be run on; copied.
    """

    def __init__(self, module: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        self._graph = torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                module(*self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(self._graph):
            self._outputs = tuple(module(*self._inputs))

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run on other values of the same shapes."""
        for fixed, given in zip(self._inputs, inputs, strict=True):
            fixed.copy_(given)
        self.replay()
        return tuple(output.clone() for output in self._outputs)

    def replay(self) -> None:
        """Run on the inputs that are in place."""
        self._graph.replay()

    def pool_bytes(self) -> int:
        """Bytes that the graph holds for activations and outputs: a replay allocates nothing."""
        pool = tuple(self._graph.pool())
        return sum(
            segment["total_size"]
            for segment in torch.cuda.memory_snapshot()
            if tuple(segment["segment_pool_id"]) == pool
        )
