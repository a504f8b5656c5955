"""Times of torch's calls, one by one, gathered by the ONNX node that they come from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, fx

from un_deploy.graph.model.labels import node_name
from un_deploy.runtime.layer_times import TimedLayer, nodes_between
from un_deploy.runtime.torch_graph.record_calls import SOURCE, SOURCES


def layer_times(
    model: ir.Model,
    module: fx.GraphModule,
    inputs: Sequence[Tensor],
    runs: int,
    warm_up: int,
    *,
    on_cuda: bool,
) -> tuple[TimedLayer, ...]:
    """See `un_deploy.runtime.layer_times.TellsLayers`.

    The module was imported from the model, so each of its torch calls knows its ONNX node.
    """
    timed = _Timed(module, on_cuda=on_cuda)
    found = []
    for _ in range(warm_up + runs):
        timed.run(*inputs)
        found.append(timed.seconds())
    found = found[warm_up:]
    onnx_nodes = list(model.graph)
    calls: dict[ir.Node, list[str]] = {}
    sources = {
        node: onnx_nodes[node.meta[SOURCE]] for node in module.graph.nodes if SOURCE in node.meta
    }
    for node, source in sources.items():
        calls.setdefault(source, []).append(_title(node))
    written = {source: tuple(source.outputs) for source in calls}
    nodes = _onnx_nodes(written, {onnx_nodes[index] for index in module.meta[SOURCES]})
    return tuple(
        TimedLayer(
            name=node_name(source),
            kind=" ".join(dict.fromkeys(titles)),
            onnx_nodes=nodes[source],
            seconds=tuple(
                sum(run[node] for node, of in sources.items() if of is source) for run in found
            ),
        )
        for source, titles in calls.items()
    )


def _onnx_nodes(
    written: Mapping[ir.Node, Sequence[ir.Value]], traced: set[ir.Node]
) -> dict[ir.Node, tuple[str, ...]]:
    """The nodes that a call stands for: a linear layer for a MatMul and an Add.

    What was computed once, from constants and shapes, runs no more and belongs to none.
    """
    there = {value for values in written.values() for value in values}
    return {
        source: tuple(
            node_name(node) for node in nodes_between(values, there - set(values)) if node in traced
        )
        for source, values in written.items()
    }


def _title(node: fx.Node) -> str:
    """As torch calls what a node runs, ``linear``."""
    return node.target if isinstance(node.target, str) else node.target.__name__


class _Timed(fx.Interpreter):
    """Runs call by call, and keeps the time of each."""

    def __init__(self, module: fx.GraphModule, *, on_cuda: bool) -> None:
        super().__init__(module)
        self._stamp = _device_stamp if on_cuda else time.perf_counter
        self._stamps: dict[fx.Node, tuple[Any, Any]] = {}

    def run_node(self, n: fx.Node) -> Any:
        self._node = n
        return super().run_node(n)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._timed(super().call_function, target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._timed(super().call_method, target, args, kwargs)

    def _timed(self, call: Callable[..., Any], target: Any, args: Any, kwargs: Any) -> Any:
        start = self._stamp()
        result = call(target, args, kwargs)
        self._stamps[self._node] = start, self._stamp()
        return result

    def seconds(self) -> dict[fx.Node, float]:
        """Of the last run, by node."""
        if self._stamp is _device_stamp:
            torch.cuda.synchronize()
        return {node: _between(*stamps) for node, stamps in self._stamps.items()}


def _device_stamp() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(start: Any, end: Any) -> float:
    return end - start if isinstance(start, float) else start.elapsed_time(end) / 1e3
