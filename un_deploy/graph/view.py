"""What the solver sees of a graph: units joined by tensors, with their shapes and constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from un_deploy.graph.recognize import Site, find_sites
from un_deploy.graph.rules import rule_for
from un_deploy.graph.rules.protocol import OUT, Port, into

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import onnx_ir as ir

    from un_deploy.graph.constants import Constants
    from un_deploy.graph.rules.protocol import Rule
    from un_deploy.graph.shapes import Shape, Shapes

#: These read a tensor's shape and none of its values.
_SHAPE_ONLY = {"Shape", "Size"}


@dataclass(frozen=True, eq=False)
class Unit:
    """An operator as the rules see it, together with the Add that is its bias.

    Attributes:
        node: the operator.
        rule: its family's rule; None where the rewriter does not know the operator.
        bias: the Add behind a MatMul whose only reader it is, and the position of its constant.
    """

    node: ir.Node
    rule: Rule | None
    bias: tuple[ir.Node, int] | None = None

    @property
    def name(self) -> str:
        return self.node.name or str(self.node.outputs[0].name)

    @property
    def output(self) -> ir.Value:
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[ir.Value, ...]:
        return tuple((self.bias[0] if self.bias else self.node).outputs)

    def ports(self) -> Iterator[tuple[Port, ir.Value]]:
        """Every input and output that is there."""
        for index, value in enumerate(self.node.inputs):
            if value is not None:
                yield into(index), value
        for index, value in enumerate(self.outputs):
            yield Port("out", index), value


class View:
    """The main graph of a model, read once; built anew after edits.

    Attributes:
        units: the operators that compute (constant sub-expressions and sites left out).
        sites: the affines that might vanish.
        near_misses: what was nearly a site.
        pinned: tensors whose value must not change, with the reason.
        biases: the Adds that belong to a linear unit.
    """

    def __init__(
        self, model: ir.Model, constants: Constants, shapes: Shapes, keep: Collection[str] = ()
    ) -> None:
        self.model = model
        self.constants = constants
        self._shapes = shapes
        self.opset = model.opset_imports.get("", 0)
        matmul_biases = dict(self._matmul_biases())
        self.biases = {add for add, _ in matmul_biases.values()}
        self.sites, self.near_misses = find_sites(self, keep)
        in_sites = {node for site in self.sites for node in site.nodes}
        self.units = [
            Unit(node, rule_for(node, self.opset), matmul_biases.get(node))
            for node in model.graph
            if node not in in_sites
            and node not in self.biases
            and node.op_type not in _SHAPE_ONLY
            and not self._constant(node)
        ]
        self.pinned: dict[ir.Value, str] = {}
        self._touching: dict[ir.Value, list[Unit | Site]] = {}
        self._pin(model.graph)
        for unit in self.units:
            for value in dict.fromkeys(value for _, value in unit.ports()):
                if value not in constants:
                    self._touching.setdefault(value, []).append(unit)
        for site in self.sites:
            self._touching.setdefault(site.x, []).append(site)
            self._touching.setdefault(site.y, []).append(site)

    def shape(self, value: ir.Value) -> Shape | None:
        """Its shape: an int, a symbolic size, or None for each axis; None where unranked."""
        return self._shapes.of(value)

    def sizes(self, constant: ir.Value) -> tuple[int, ...]:
        """The shape of a constant, all of it known."""
        shape = self._shapes.of(constant)
        if shape is None or not all(isinstance(size, int) for size in shape):
            return self.constants[constant].shape
        return tuple(int(size) for size in shape)  # type: ignore[arg-type]

    def readers(self, value: ir.Value) -> list[ir.Node]:
        """The nodes that read the tensor's values, one entry a use; Shape reads none."""
        return [node for node, _ in value.uses() if node.op_type not in _SHAPE_ONLY]

    def touching(self, value: ir.Value) -> list[Unit | Site]:
        """The unit that makes the tensor and those that read it."""
        return self._touching.get(value, [])

    def takes_shift(self, value: ir.Value | None) -> bool:
        """Whether a shift sent up into this tensor ends in a constant or a linear operator."""
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
                if unit.rule.is_linear:
                    return True
                sums = unit.node.op_type in ("Add", "Sub")
                pending += [v for v in unit.node.inputs if sums or v not in self.constants]
        return False

    def _constant(self, node: ir.Node) -> bool:
        return all(value in self.constants for value in node.outputs)

    def _matmul_biases(self) -> Iterator[tuple[ir.Node, tuple[ir.Node, int]]]:
        for node in self.model.graph:
            if node.domain or node.op_type != "MatMul" or node.inputs[1] not in self.constants:
                continue
            out, weight = node.outputs[0], node.inputs[1]
            assert weight is not None
            readers = self.readers(out)
            if len(readers) != 1 or len(out.uses()) != 1 or out.is_graph_output():
                continue
            (add,) = readers
            if add.domain or add.op_type != "Add" or add.graph is not node.graph:
                continue
            index = 1 - add.inputs.index(out)
            bias = add.inputs[index]
            if bias in self.constants and self._is_row(bias, self._known(weight)):
                yield node, (add, index)

    def _is_row(self, bias: ir.Value | None, weight: Shape | None) -> bool:
        """One entry an output channel, however many leading axes of size 1."""
        shape = self._known(bias)
        if not shape or not weight:
            return False
        return shape[-1] == weight[-1] and all(size == 1 for size in shape[:-1])

    def _known(self, value: ir.Value | None) -> Shape | None:
        return None if value is None else self._shapes.of(value)

    def _pin(self, graph: ir.Graph) -> None:
        for ends, kind in ((graph.inputs, "input"), (graph.outputs, "output")):
            for value in ends:
                self.pinned[value] = f"{value.name!r} is a graph {kind}"
        for node in graph.all_nodes():
            for read in node.inputs:
                if read is not None and node.graph is not graph and read.graph is graph:
                    self.pinned[read] = f"{read.name!r} is read inside a control flow body"


def _made_by(unit: Unit | Site) -> tuple[ir.Value, ...]:
    return (unit.y,) if isinstance(unit, Site) else unit.outputs


__all__ = ["OUT", "Port", "Site", "Unit", "View", "into"]
