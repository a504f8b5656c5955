"""Which original tensor each tensor of the folded graph stands for, and through what gauge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.edits import Change
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.solve import Assignment

ValueMap = Mapping[str, tuple[str, Gauge] | None]


class OriginalTensors:
    """Follows tensors through the rounds of a fold, whatever they come to be called."""

    def __init__(self, model: ir.Model) -> None:
        values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
        self._first: dict[ir.Value, str] = {value: str(value.name) for value in values}
        self._gauges: dict[ir.Value, Gauge] = {}
        self._inside: set[ir.Value] = set()

    def gauges(self, view: GraphView, assignment: Assignment) -> None:
        """A solution is about to be applied: compose its gauges with those of earlier rounds."""
        for value, gauge in assignment.tensors.items():
            if not gauge.is_identity:
                before = self._gauges.get(value, Affine.identity(gauge.rank))
                self._gauges[value] = before.after(gauge)
        for unit in view.units:
            if unit.bias is not None and assignment.known(unit, view):
                self._inside.add(unit.node.outputs[0])
        for site in view.sites:
            if site not in assignment.vanished and not assignment.untouched(site):
                self._inside.update(node.outputs[0] for node in site.nodes[:-1])

    def biases(self, changes: Iterable[Change]) -> None:
        """A MatMul that gained an Add: the Add's output stands for what was the MatMul's."""
        for change in changes:
            if change.added is None:
                continue
            inner = change.added.inputs[0]
            outer = change.added.outputs[0]
            assert inner is not None
            self._first[outer] = self._first[inner]
            self._inside.add(inner)
            if inner in self._gauges:
                self._gauges[outer] = self._gauges.pop(inner)

    def map(self) -> ValueMap:
        """The map, by the names that the folded graph has now."""
        found: dict[str, tuple[str, Gauge] | None] = {}
        for value, first in self._first.items():
            name = str(value.name)
            if value in self._inside:
                found[name] = None
            elif value in self._gauges:
                found[name] = (first, self._gauges[value])
            elif name != first:
                found[name] = (first, Affine.identity(0))
        return found
