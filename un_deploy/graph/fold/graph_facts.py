"""What rules and the search for sites may ask of a graph: shapes, constants, biases, readers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.analysis.evaluators import Unknown, evaluate, is_known
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rules.equation import Equation, without_leading_ones
from un_deploy.graph.fold.rules.operator import Operator

#: Sizes are computed by these.
_OF_SIZES = frozenset(
    (
        *("Add", "Sub", "Mul", "Div", "Cast", "Concat", "Gather", "Slice", "Shape"),
        *("Identity", "Squeeze", "Unsqueeze"),
    )
)

#: These read a tensor's shape and none of its values.
SHAPE_ONLY = frozenset(("Shape", "Size"))


class GraphFacts(ABC):
    """Shapes, constants, readers and biases of a model's main graph.

    Attributes:
        model, constants: what was read.
        opset: of the default domain.
        biases: operator -> the Add behind it that is its bias, and the position of its constant.
        biased: the Add -> the operator.
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
        self.biased = {add: node for node, (add, _) in self.biases.items()}
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

    def integers(self, value: ir.Value | None) -> np.ndarray | None:
        """What an integer tensor holds, where it follows from constants and known sizes."""
        if value is None or value in self.constants:
            return None if value is None else self.constants[value]
        node = value.producer()
        if node is None or node.domain or node.op_type not in _OF_SIZES:
            return None
        if node.op_type == "Shape":
            shape = self._listed(node)
            return None if shape is None or None in shape else np.array(shape, np.int64)
        first = node.inputs[0].producer() if node.inputs[0] is not None else None
        if node.op_type == "Gather" and first is not None and first.op_type == "Shape":
            shape, at = self._listed(first), self.integers(node.inputs[1])
            if shape is None or at is None:
                return None
            picked = [shape[int(index)] for index in at.ravel()]
            return None if None in picked else np.array(picked, np.int64).reshape(at.shape)
        inputs = [self.integers(v) for v in node.inputs]
        if any(a is None and v is not None for a, v in zip(inputs, node.inputs, strict=True)):
            return None
        try:
            return evaluate(node, inputs, self.opset)[0]
        except Unknown:
            return None

    def _listed(self, node: ir.Node) -> list[int | None] | None:
        """What a Shape without bounds gives; None for a size that is no number."""
        source = node.inputs[0]
        shape = None if source is None or node.attributes else self.shape(source)
        return None if shape is None else [n if isinstance(n, int) else None for n in shape]

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

    @cached_property
    def overridable(self) -> Mapping[ir.Value, ir.Value]:
        """What is made of constants and of initializers that the caller may override: which one."""
        found = {value: value for value in self.model.graph.inputs if value.is_initializer()}
        for node in self.model.graph if found else ():
            given = [found[value] for value in node.inputs if value in found]
            if given and all(v is None or v in self.constants or v in found for v in node.inputs):
                found.update(dict.fromkeys(node.outputs, given[0]))
        return found

    def knows(self, nodes: Iterable[ir.Node]) -> bool:
        """Whether it is known what all these compute in this opset, as a proof needs it."""
        return all(is_known(node, self.opset) for node in nodes)

    def operator(self, node: ir.Node) -> Operator:
        """What is known of an operator."""
        known = None if node.domain else self._operators.get(node.op_type)
        return known or Operator()

    def is_linear(self, node: ir.Node) -> bool:
        """Whether it is a linear operator; a product of computed tensors is none."""
        operator = self.operator(node)
        if not operator.linear or len(node.inputs) < 2:
            return False
        if operator.bias != "behind":
            return True
        return sum(v in self.constants or v in self.overridable for v in node.inputs) == 1

    def weight(self, linear: ir.Node) -> int | None:
        """Which input of a linear operator is its weight; None where that is no constant."""
        places = (0, 1) if self.operator(linear).bias == "behind" else (1,)
        return next((i for i in places if linear.inputs[i] in self.constants), None)

    def holds_bias(self, linear: ir.Node) -> bool:
        """Whether it has a bias, or an input for one, so that it takes a shift for nothing."""
        return self._operators[linear.op_type].bias != "behind" or linear in self.biases

    @abstractmethod
    def takes_shift(self, value: ir.Value | None, *, near: bool = False) -> bool:
        """Whether a shift sent up into this tensor ends in a constant or a linear operator.

        Near: before the next sum.
        """

    def _biases_behind(self) -> Iterator[tuple[ir.Node, tuple[ir.Node, int]]]:
        for node in self.model.graph:
            operator = self._operators.get(node.op_type)
            if node.domain or operator is None or operator.bias != "behind":
                continue
            constant = [i for i, value in enumerate(node.inputs) if value in self.constants]
            out, uses = node.outputs[0], list(node.outputs[0].uses())
            if len(node.inputs) != 2 or len(constant) != 1 or len(uses) != 1:
                continue
            ((add, place),) = uses
            if out.is_graph_output() or add.domain or add.op_type != "Add":
                continue
            bias = add.inputs[1 - place]
            if bias is None or bias not in self.constants or add.graph is not node.graph:
                continue
            if self.is_bias(node, constant[0], self.sizes(bias)):
                yield node, (add, 1 - place)

    def is_bias(self, node: ir.Node, index: int, row: tuple[int, ...]) -> bool:
        """Whether a constant of these sizes, added to a product, is a bias of it.

        It varies only along the axes that the weight gives the output, if along any.
        """
        weight, data = node.inputs[index], node.inputs[1 - index]
        assert weight is not None and data is not None
        sizes, shape = self.sizes(weight), self.shape(data)
        rank = max(len(sizes), 2) if shape is None else len(shape)
        equation = Equation.of(node, (rank, len(sizes)) if index else (len(sizes), rank))
        if equation is None:
            return False
        own = equation.sizes_in_result(index, sizes)
        least = without_leading_ones(row)
        if len(least) > len(own) or (math.prod(least) == 1 and math.prod(own) != 1):
            return False
        pairs = zip(least[::-1], own[::-1], strict=False)
        return all(size in (1, full) for size, full in pairs)
