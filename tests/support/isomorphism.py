"""Whether two models are the same network: the same operators, joined in the same way.

Each graph is told as a list of facts, from its outputs upwards: an operator is a number, given
where it is met first, and its inputs have an order. So equal lists are an isomorphism. Names play
no part, nor does the order of the nodes, nor how a constant is held (an initializer, a Constant
node, or either behind Identity, with which exporters share equal parameters).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.fold.rules import operator_named


class _Fact(NamedTuple):
    """What stands at a place, as it is compared and as a reader wants it."""

    compared: object
    place: str
    title: str


def differences(a: ir.Model, b: ir.Model, *, gained_biases: Collection[str] = ()) -> list[str]:
    """Where two models differ as networks; empty if they are isomorphic.

    Compared are operators, attributes, edges, the graphs' inputs and outputs in order (type, and
    shape up to the names of dimensions), and constants: floating tensors by type and shape;
    integers, booleans, strings and floating scalars (rank 0) by value too, but the target of a
    Reshape by the shape that it gives, where that is fixed: -1 may stand for a number. Bodies of
    If, Loop and Scan are compared likewise. An operator or initializer that no output depends on is
    a difference.

    Args:
        a: for example a folded model.
        b: for example the same network exported without norms.
        gained_biases: output names of linear operators of `a` that have a bias which they lack in
            `b`, in an input or in an Add behind. These biases are passed over.

    Returns:
        The first edge, set of attributes or signature that differs, naming both sides; or, where
        none does, a line for each bias that is not there and for whatever no output depends on.

    Raises:
        InputError: a model has local functions, which must be inlined first.
    """
    if a.functions or b.functions:
        raise InputError("a model with local functions cannot be compared: inline them first")
    first, second = _Walk(a, gained_biases), _Walk(b)
    for x, y in zip_longest(first.facts(), second.facts()):
        if x.compared != y.compared:
            return [f"{x.place}: {x.title} in a, {y.title} in b"]
    return [
        *(f"a has no bias at {name!r} that b lacks" for name in sorted(first.unmet_biases())),
        *(f"in a no output depends on {what}" for what in first.dead()),
        *(f"in b no output depends on {what}" for what in second.dead()),
    ]


class _Walk:
    """Tells a model from its outputs upwards, without the gained biases."""

    def __init__(self, model: ir.Model, gained: Collection[str] = ()) -> None:
        self._gained = {*gained}
        self._passed_over: set[str | None] = set()
        self._model = model
        self._dims: dict[str | None, int] = {}
        self._graphs: dict[ir.Graph, int] = {}
        self._inputs: dict[ir.Value, tuple[int, int]] = {}
        self._numbers: dict[ir.Node, int] = {}
        self._ahead: list[ir.Node] = []
        self._live: set[ir.Value] = set()

    def facts(self) -> Iterator[_Fact]:
        """Each says enough of what follows it that two walks stay in step until they differ."""
        graph = self._model.graph
        for place, values in (("inputs", graph.inputs), ("outputs", graph.outputs)):
            ends = [(one.dtype, self._shape(one.shape)) for one in values]
            told = ", ".join(f"{one.name!r} {one.dtype}{one.shape}" for one in values)
            yield _Fact(ends, place, told)
        yield from self._graph(graph, "the graph")
        while self._ahead:
            node = self._ahead.pop()
            attributes = {name: _attribute(one) for name, one in sorted(node.attributes.items())}
            told = ", ".join(f"{name}={text}" for name, (_, text) in attributes.items()) or "none"
            yield _Fact(attributes, f"attributes of {_named(node)}", told)
            inputs, target = self._without_bias(node), _fixed_target(node)
            yield from self._edges("input", inputs, _named(node), target)
            for _, one in sorted(node.attributes.items()):
                for body in _bodies(one):
                    yield from self._graph(body, f"{one.name} of {_named(node)}")

    def unmet_biases(self) -> set[str]:
        """Names of gained biases that the walk has not passed over."""
        return {name for name in self._gained if name not in self._passed_over}

    def dead(self) -> Iterator[str]:
        """Operators and initializers that the walk has not met."""
        for graph in self._model.graphs():
            for node in graph:
                if not self._live.intersection(node.outputs):
                    yield _named(node)
            for value in graph.initializers.values():
                if value not in self._live:
                    yield f"initializer {value.name!r}"

    def _shape(self, shape: ir.Shape | None) -> object:
        """Sizes; a name of a dimension is the number of those before it."""
        return shape and [
            dim
            if isinstance(dim, int) or dim.value is None
            else ("named", self._dims.setdefault(dim.value, len(self._dims)))
            for dim in shape
        ]

    def _graph(self, graph: ir.Graph, where: str) -> Iterator[_Fact]:
        number = self._graphs[graph] = len(self._graphs)
        self._inputs |= {value: (number, index) for index, value in enumerate(graph.inputs)}
        yield _Fact(len(graph.inputs), f"inputs of {where}", str(len(graph.inputs)))
        yield from self._edges("output", graph.outputs, where)

    def _edges(
        self,
        kind: str,
        values: Sequence[ir.Value | None],
        where: str,
        target: Sequence[int] | None = None,
    ) -> Iterator[_Fact]:
        last = max((index for index, value in enumerate(values) if value is not None), default=-1)
        for index, value in enumerate(chain(values[: last + 1], [None])):  # nothing: the end
            compared, title = self._source(value)
            if index == 1 and target is not None:
                compared, title = target, f"{title}, which gives {target}"
            yield _Fact((index, compared), f"{kind} {index} of {where}", title)

    def _source(self, value: ir.Value | None) -> tuple[object, str]:
        """What a value is; its operator is looked at later."""
        value = self._behind_gained_bias(value)
        if value is None:
            return None, "nothing"
        self._live.add(value)
        if (tensor := held_constant(value)) is not None:
            self._use(value)
            text = f"{tensor.dtype}{list(tensor.shape)}"
            told = f"constant {value.name!r} {text}"
            told += f" = {_numbers(tensor)}" if tensor.size <= 8 else ""
            by_shape = tensor.dtype.is_floating_point() and len(tensor.shape) > 0
            return text if by_shape else (text, _numbers(tensor)), told
        if (node := value.producer()) is None:
            return self._inputs.get(value, id(value)), f"input {value.name!r}"
        again = node in self._numbers
        if not again:
            self._numbers[node] = len(self._numbers)
            self._ahead.append(node)
        body = self._graphs[node.graph]
        kind = (node.domain, node.op_type, len(node.outputs))
        told = f"output {value.index()} of " if value.index() else ""
        told += _named(node) + (f" of body {body}" if body else "") + (" again" if again else "")
        return (self._numbers[node], kind, body, value.index()), told

    def _behind_gained_bias(self, value: ir.Value | None) -> ir.Value | None:
        """The MatMul's output for that of its gained bias Add; any other value as it is."""
        add = value.producer() if value is not None and value.name in self._gained else None
        if value is None or add is None or add.domain or add.op_type != "Add":
            return value
        computed = [v for v in add.inputs if v is not None and held_constant(v) is None]
        made_by = computed[0].producer() if len(computed) == 1 else None
        if made_by is None or operator_named(made_by.op_type).bias != "behind":
            return value
        self._passed_over.add(value.name)
        self._live.add(value)
        for one in add.inputs:
            self._use(one)
        return computed[0]

    def _without_bias(self, node: ir.Node) -> Sequence[ir.Value | None]:
        index, name = operator_named(node.op_type).bias, node.outputs[0].name
        if not isinstance(index, int) or name not in self._gained or not any(node.inputs[index:]):
            return node.inputs
        self._passed_over.add(name)
        for value in node.inputs[index:]:
            self._use(value)
        return node.inputs[:index]

    def _use(self, value: ir.Value | None) -> None:
        """Of a constant, with what holds it."""
        while value is not None and held_constant(value) is not None:
            self._live.add(value)
            node = value.producer()
            value = node.inputs[0] if node is not None and node.inputs else None


def _fixed_target(node: ir.Node) -> Sequence[int] | None:
    """What a Reshape to a constant shape gives, where all of it is fixed."""
    shape = node.outputs[0].shape
    if node.domain or node.op_type != "Reshape" or shape is None or not shape.is_static():
        return None
    target = node.inputs[1]
    return None if target is None or held_constant(target) is None else list(shape.numpy())


def _attribute(one: ir.Attr) -> tuple[str, str]:
    """Type and value, as text."""
    if bodies := _bodies(one):
        return one.type.name, f"{len(bodies)} bodies"
    if one.type == ir.AttributeType.TENSOR:
        tensor = one.as_tensor()
        return one.type.name, f"{tensor.dtype}{list(tensor.shape)} {_numbers(tensor)}"
    return one.type.name, repr(one.value)


def _bodies(attribute: ir.Attr) -> Sequence[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    return attribute.as_graphs() if attribute.type == ir.AttributeType.GRAPHS else ()


def _numbers(tensor: ir.TensorProtocol) -> str:
    return repr(tensor.numpy().tolist())


def _named(node: ir.Node) -> str:
    return f"{node.op_type} {node.name or node.outputs[0].name!r}"
