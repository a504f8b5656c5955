"""What rules and the search for sites may ask of a graph: shapes, constants, biases, readers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rules.operator import Operator

#: These read a tensor's shape and none of its values.
SHAPE_ONLY = frozenset(("Shape", "Size"))


class GraphFacts(ABC):
    """Shapes, constants, readers and biases of a model's main graph.

    Attributes:
        model, constants: what was read.
        opset: of the default domain.
        biases: operator -> the Add behind it that is its bias, and the position of its constant.
    """

    def __init__(
        self,
        model: ir.Model,
        constants: Constants,
        shapes: Shapes,
        operators: Mapping[str, Operator],
    ) -> None:
        """`operators` is what is known of them, by name; the rules, which state it, read this."""
        self.model = model
        self.constants = constants
        self._shapes = shapes
        self.opset = model.opset_imports.get("", 0)
        self._operators = operators
        self.biases = dict(self._biases_behind())
        self._exact: dict[ir.Value, Exact] = {}

    def shape(self, value: ir.Value) -> Shape | None:
        """Its shape: an int, a symbolic size, or None for each axis; None where unranked."""
        return self._shapes.of(value)

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """Its element type, None where it cannot be told."""
        return self._shapes.dtype(value)

    def sizes(self, constant: ir.Value) -> tuple[int, ...]:
        """The shape of a constant, all of it known."""
        shape = self._shapes.of(constant)
        if shape is None or not all(isinstance(size, int) for size in shape):
            return self.constants[constant].shape
        return tuple(int(size) for size in shape)  # type: ignore[arg-type]

    def exact(self, constant: ir.Value) -> Exact:
        """A constant in float64, the same object at each call."""
        if constant not in self._exact:
            self._exact[constant] = Exact.of(constant, self.constants)
        return self._exact[constant]

    def readers(self, value: ir.Value) -> list[ir.Node]:
        """The nodes that read the tensor's values, one entry a use; Shape reads none."""
        return [node for node, _ in value.uses() if node.op_type not in SHAPE_ONLY]

    def is_stored(self, value: ir.Value | None) -> bool:
        """Whether it is a constant, or rows of one: it takes any gauge for nothing."""
        node = value.producer() if value is not None else None
        operator = self._operators.get(node.op_type) if node is not None else None
        if node is not None and operator is not None and operator.picks:
            value = node.inputs[0]
        return value in self.constants

    def linear(self, node: ir.Node) -> Operator | None:
        """What is known of a linear operator with constant weights; None of any other."""
        operator = None if node.domain else self._operators.get(node.op_type)
        if operator is None or not operator.absorbs or len(node.inputs) < 2:
            return None
        return operator if node.inputs[1] in self.constants else None

    def holds_bias(self, linear: ir.Node) -> bool:
        """Whether it has a bias, or an input for one, so that it takes a shift for nothing."""
        return self._operators[linear.op_type].bias != "behind" or linear in self.biases

    @abstractmethod
    def takes_shift(self, value: ir.Value | None) -> bool:
        """Whether a shift sent up into this tensor ends in a constant or a linear operator."""

    def _biases_behind(self) -> Iterator[tuple[ir.Node, tuple[ir.Node, int]]]:
        for node in self.model.graph:
            operator = self._operators.get(node.op_type)
            if node.domain or operator is None or operator.bias != "behind":
                continue
            out, weight = node.outputs[0], node.inputs[1]
            uses = list(out.uses())
            if weight not in self.constants or len(uses) != 1 or out.is_graph_output():
                continue
            ((add, place),) = uses
            if add.domain or add.op_type != "Add" or add.graph is not node.graph:
                continue
            bias = add.inputs[1 - place]
            if bias in self.constants and self._is_row(bias, weight):
                yield node, (add, 1 - place)

    def _is_row(self, bias: ir.Value | None, weight: ir.Value | None) -> bool:
        """One entry an output channel, however many leading axes of size 1."""
        row, matrix = (None if v is None else self.shape(v) for v in (bias, weight))
        if not row or not matrix:
            return False
        return row[-1] == matrix[-1] and all(size == 1 for size in row[:-1])
