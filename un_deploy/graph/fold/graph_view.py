"""The graph as the solver sees it: units joined by tensors, with their shapes and constants."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.analysis.norms.find_norms import find_norms
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.find_sites import find_sites
from un_deploy.graph.fold.graph_facts import SHAPE_ONLY, GraphFacts
from un_deploy.graph.fold.rules import operators, rule_for
from un_deploy.graph.fold.rules.layout_run import layout_runs
from un_deploy.graph.fold.rules.mixing import mixings
from un_deploy.graph.fold.rules.protocol import Rule, Unit
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.sites.repeated import stored_operands


class GraphView(GraphFacts):
    """The main graph of a model, read once; built anew after edits.

    Attributes:
        units: the operators that compute (constant sub-expressions and sites left out).
        norms: those that measure their input; nothing passes into them.
        sites: the affines that might vanish.
        order: the position of each site among them.
        near_misses: what was nearly a site.
        mixings: the modulations, by their products.
        pinned: tensors whose value must not change, with the reason.
        unscaled: tensors whose scale must not change, with the reason: the pinned ones, and those
            that sums join to one of them, since a sum has one scale.
    """

    def __init__(
        self,
        model: ir.Model,
        constants: Constants,
        shapes: Shapes,
        keep: Collection[str] = (),
        taken: Mapping[ir.Node, ir.Node] | None = None,
    ) -> None:
        """`taken`: see `find_sites`."""
        super().__init__(model, constants, shapes, operators())
        self.norms = find_norms(model.graph, constants, shapes)
        self.sites, self.near_misses = find_sites(self, keep, self.norms, taken)
        self.order = {site: index for index, site in enumerate(self.sites)}
        apart = {node for site in self.sites for node in site.nodes}
        apart.update(self.biased)
        found = mixings(self)
        self.mixings = {n: m for n, m in found.items() if not {n, m.add} & apart}
        apart.update(mixing.add for mixing in self.mixings.values())
        runs = {
            nodes[0]: (nodes[1:], rule)
            for nodes, rule in layout_runs(model.graph, shapes, self.opset)
        }
        apart.update(node for behind, _ in runs.values() for node in behind)
        self.units = [
            self._unit(node, *runs.get(node, ((), None)))
            for node in model.graph
            if node not in apart and node.op_type not in SHAPE_ONLY and not self._constant(node)
        ]
        self.pinned: dict[ir.Value, str] = {}
        self._touching: dict[ir.Value, list[Unit | Site]] = {}
        self._pin(model.graph, keep, taken or {})
        for unit in self.units:
            for value in dict.fromkeys(value for _, value in unit.ports()):
                if value not in constants:
                    self._touching.setdefault(value, []).append(unit)
        for site in self.sites:
            self._touching.setdefault(site.x, []).append(site)
            self._touching.setdefault(site.y, []).append(site)
        self.unscaled = dict(self._unscaled())

    def _unit(self, node: ir.Node, behind: tuple[ir.Node, ...], run: Rule | None) -> Unit:
        return Unit(
            node,
            run or rule_for(node, self.opset),
            self.biases.get(node),
            self.mixings.get(node),
            dict(stored_operands(node, self)),
            behind,
        )

    def touching(self, value: ir.Value) -> list[Unit | Site]:
        """The unit that makes the tensor and those that read it."""
        return self._touching.get(value, [])

    def takes_shift(self, value: ir.Value | None, *, near: bool = False) -> bool:
        """Whether a shift sent up into this tensor ends in a constant or a linear operator.

        Near: before the next sum.
        """
        pending, seen = [value], set()
        while pending:
            value = pending.pop()
            if value is None or value in seen:
                continue
            if value in self.constants:
                return True
            seen.add(value)
            unit = next((u for u in self.touching(value) if value in _made_by(u)), None)
            if isinstance(unit, Unit) and unit.rule is not None:
                if unit.operator.linear:
                    return True
                sources = self._shift_from(unit)
                ends = near and unit.operator.adds
                pending += [v for v in sources if not ends or self.is_stored(v)]
        return False

    def _shift_from(self, unit: Unit) -> list[ir.Value | None]:
        """The inputs that a shift on the output may come from."""
        inputs, which = unit.node.inputs, unit.operator.shift_from
        if which == "computed":
            return [v for v in inputs if v not in self.constants]
        return list(inputs if which == "every" else inputs[:1])

    def _constant(self, node: ir.Node) -> bool:
        return all(value in self.constants for value in node.outputs)

    def _unscaled(self) -> Iterator[tuple[ir.Value, str]]:
        pending, seen = deque(self.pinned.items()), set(self.pinned)
        while pending:
            value, reason = pending.popleft()
            yield value, reason
            for unit in self.touching(value):
                if isinstance(unit, Site) or unit.node.op_type not in ("Add", "Sub"):
                    continue
                for _, other in unit.ports():
                    alike = other not in seen and same_shape(self.shape(value), self.shape(other))
                    if alike and other not in self.constants:
                        seen.add(other)
                        pending.append((other, reason))

    def _pin(
        self, graph: ir.Graph, keep: Collection[str], taken: Mapping[ir.Node, ir.Node]
    ) -> None:
        for ends, kind in ((graph.inputs, "input"), (graph.outputs, "output")):
            for value in ends:
                self.pinned[value] = f"{value.name!r} is a graph {kind}"
        for node in graph.all_nodes():
            for read in node.inputs:
                if read is not None and node.graph is not graph and read.graph is graph:
                    self.pinned[read] = f"{read.name!r} is read inside a control flow body"
        for norm in self.norms:
            if not norm.names.isdisjoint(keep):
                self.pinned[norm.y] = f"{norm.label} is kept, so its output must stay"
            for value in (value for node in norm.core[:-1] for value in node.outputs):
                self.pinned[value] = f"{value.name!r} is a part of a {norm.kind}"
        for node in taken.values():  # else it would take its own scale and shift in again
            value = node.outputs[0]
            self.pinned[value] = f"{value.name!r} is a {node.op_type} without its scale and shift"


def _made_by(unit: Unit | Site) -> tuple[ir.Value, ...]:
    return (unit.y,) if isinstance(unit, Site) else unit.outputs
