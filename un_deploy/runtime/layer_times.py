"""Times of a network's layers, told alike by every runtime that can tell them."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import onnx_ir as ir

from un_deploy.graph.model.input_specs import Feeds
from un_deploy.json_form import SAMPLES


@dataclass(frozen=True)
class TimedLayer:
    """What a runtime runs as one.

    Attributes:
        name: the runtime's; several may have the same.
        kind: operator or layer type, as the runtime calls it.
        onnx_nodes: names of the ONNX nodes it computes, as far as they are told; one without a
            name is called by its first output.
        seconds: one number for each run; of a runtime that tells no more, their median alone.
    """

    name: str
    kind: str
    onnx_nodes: tuple[str, ...]
    seconds: tuple[float, ...] = field(metadata=SAMPLES)

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)


@runtime_checkable
class TellsLayers(Protocol):
    """A session that can tell the times of its layers."""

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """Time each layer in `runs` runs, at least one, after `warm_up` that are not counted.

        Returns:
            The layers in the order in which they run.

        Raises:
            InputError: an input is missing or unfit, the run fails, or this mode of the runtime
                does not run layer by layer.
        """
        ...


@runtime_checkable
class TellsEngineLayers(Protocol):
    """A session of an engine, of which TensorRT's inspector tells."""

    def layer_information(self, feeds: Feeds) -> str:
        """JSON of the inspector, for inputs of these shapes.

        Raises:
            InputError: an input is missing or unfit.
        """
        ...


def nodes_between(outputs: Iterable[ir.Value], there: Collection[ir.Value]) -> tuple[ir.Node, ...]:
    """The nodes of a graph that compute values from others that are there already.

    Args:
        outputs: what a fused layer writes; nodes behind them are not looked at.
        there: what any other layer writes: the way back ends at them.

    Returns:
        In the order of the graph.
    """
    found: dict[ir.Node, None] = {}
    waiting = list(outputs)
    seen = set(waiting)
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in found:
            continue
        found[node] = None
        for value in node.inputs:
            if value is not None and value not in there and value not in seen:
                seen.add(value)
                waiting.append(value)
    graphs = [node.graph for node in found if node.graph is not None]
    return tuple(node for node in (graphs[0] if graphs else ()) if node in found)
