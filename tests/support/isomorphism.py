"""Whether two models are the same network: the same operators, joined in the same way.

Both graphs are walked from their outputs upwards, in step. Each node of one must meet the same
node of the other wherever it is met, so that the pairs are a bijection: the isomorphism. Names
play no part, nor does the order of the nodes, nor how a constant is held (an initializer, a
Constant node, or either behind Identity, with which exporters share equal parameters).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import held_constant
from un_deploy.graph.fold.rules import operator_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def differences(a: ir.Model, b: ir.Model, *, gained_biases: Collection[str] = ()) -> list[str]:
    """Where two models differ as networks; empty if they are isomorphic.

    Compared are operators, attributes, edges, the graphs' inputs and outputs in order (type, and
    shape up to the names of dimensions), and constants: floating tensors by type and shape;
    integers, booleans, strings and floating scalars (rank 0) by value too. Bodies of If, Loop and
    Scan are compared likewise. An operator or initializer that no output depends on is a
    difference.

    Args:
        a: for example a folded model.
        b: for example the same network exported without norms.
        gained_biases: output names of linear operators of `a` that have a bias which they lack in
            `b`, in an input or in an Add behind. These biases are passed over.

    Returns:
        One line a difference, naming both sides. The walk stops where it finds one, so what lies
        behind it may not be told.

    Raises:
        InputError: a model has local functions, which must be inlined first.
    """
    if a.functions or b.functions:
        raise InputError("a model with local functions cannot be compared: inline them first")
    return _Walk(a, b, gained_biases).differences()


class _Walk:
    """Pairs the nodes of two models, from their outputs upwards."""

    def __init__(self, a: ir.Model, b: ir.Model, gained_biases: Collection[str]) -> None:
        self._a, self._b = a, b
        self._gained = set(gained_biases)
        self._passed_over: set[str] = set()
        self._found: list[str] = []
        self._b_of: dict[ir.Node, ir.Node] = {}
        self._a_of: dict[ir.Node, ir.Node] = {}
        self._graphs: list[tuple[ir.Graph, ir.Graph]] = []
        self._dims: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._ahead: list[tuple[ir.Value | None, ir.Value | None, str]] = []

    def differences(self) -> list[str]:
        first, second = self._a.graph, self._b.graph
        self._pair_graphs(first, second, "the graph")
        for x, y in zip(first.inputs, second.inputs, strict=False):
            self._compare_signature("input", x, y)
        for x, y in zip(first.outputs, second.outputs, strict=False):
            self._compare_signature("output", x, y)
        while self._ahead:
            self._compare_values(*self._ahead.pop())
        for name in sorted(self._gained - self._passed_over):
            self._found.append(f"a has no bias at {name!r} that b lacks")
        for side, model in (("a", self._a), ("b", self._b)):
            self._found += [f"in {side} no output depends on {what}" for what in _dead(model)]
        return list(dict.fromkeys(self._found))

    def _pair_graphs(self, a: ir.Graph, b: ir.Graph, where: str) -> None:
        self._graphs.append((a, b))
        for kind, xs, ys in (("inputs", a.inputs, b.inputs), ("outputs", a.outputs, b.outputs)):
            if len(xs) != len(ys):
                self._found.append(f"{where}: {len(xs)} {kind} in a, {len(ys)} in b")
        for index, (x, y) in enumerate(zip(a.outputs, b.outputs, strict=False)):
            self._ahead.append((x, y, f"output {index} of {where}"))

    def _compare_signature(self, kind: str, x: ir.Value, y: ir.Value) -> None:
        if x.dtype != y.dtype or not self._same_dims(x.shape, y.shape):
            self._found.append(
                f"{kind} {x.name!r} {x.dtype}{x.shape} in a, {y.name!r} {y.dtype}{y.shape} in b"
            )

    def _same_dims(self, x: ir.Shape | None, y: ir.Shape | None) -> bool:
        """Equal sizes, and names that correspond one to one over the whole signature."""
        if x is None or y is None or len(x) != len(y):
            return x is y
        b_of, a_of = self._dims
        for dim, other in zip(x, y, strict=True):
            if isinstance(dim, int) or isinstance(other, int):
                if dim != other:
                    return False
            elif dim.value is None or other.value is None:
                if dim.value is not other.value:
                    return False
            else:
                pair = (
                    b_of.setdefault(dim.value, other.value),
                    a_of.setdefault(other.value, dim.value),
                )
                if pair != (other.value, dim.value):
                    return False
        return True

    def _compare_values(self, x: ir.Value | None, y: ir.Value | None, where: str) -> None:
        x = self._behind_gained_bias(x)
        first, second = held_constant(x), held_constant(y)
        node = x.producer() if x is not None else None
        other = y.producer() if y is not None else None
        same, why = False, ""
        if first is not None and second is not None:
            same = _same_constant(first, second)
        elif first is not None or second is not None or x is None or y is None:
            same = x is y
        elif node is None or other is None:
            same = self._same_input(x, y)
        elif x.index() != y.index():
            why = f", of which it is output {x.index()} and {y.index()}"
        else:
            same, why = self._compare_nodes(node, other)
        if not same:
            self._found.append(f"{where}: {_title(x)} in a, {_title(y)} in b{why}")

    def _behind_gained_bias(self, value: ir.Value | None) -> ir.Value | None:
        """The MatMul's output for that of its gained bias Add; any other value as it is."""
        if value is None or value.name not in self._gained:
            return value
        add = value.producer()
        if add is None or add.domain or add.op_type != "Add":
            return value
        computed = [v for v in add.inputs if v is not None and held_constant(v) is None]
        made_by = computed[0].producer() if len(computed) == 1 else None
        if made_by is None or operator_named(made_by.op_type).bias != "behind":
            return value
        self._passed_over.add(value.name)
        return computed[0]

    def _same_input(self, x: ir.Value, y: ir.Value) -> bool:
        """Whether they have the same place among the inputs of corresponding graphs."""
        return any(
            value is x and other is y
            for a, b in self._graphs
            for value, other in zip(a.inputs, b.inputs, strict=False)
        )

    def _compare_nodes(self, a: ir.Node, b: ir.Node) -> tuple[bool, str]:
        """Whether they are of one kind and meet nobody else, and if not why; then goes on above."""
        if (a.domain, a.op_type) != (b.domain, b.op_type):
            return False, ""
        if a in self._b_of:
            met = self._b_of[a]
            return met is b, f", but the first meets {_named(met)} elsewhere"
        if b in self._a_of:
            return False, f", but the second meets {_named(self._a_of[b])} elsewhere"
        self._b_of[a], self._a_of[b] = b, a
        pair = f"{_named(a)} in a, {_named(b)} in b"
        if (a.graph, b.graph) not in self._graphs:
            self._found.append(f"{pair}: they are in different bodies")
        if len(a.outputs) != len(b.outputs):
            self._found.append(f"{pair}: {len(a.outputs)} and {len(b.outputs)} outputs")
        self._compare_attributes(a, b, pair)
        firsts, seconds = list(a.inputs), list(b.inputs)
        self._pass_over_bias(a, firsts, seconds)
        pairs = zip_longest(firsts, seconds)  # trailing inputs may be left out
        for index, (x, y) in enumerate(pairs):
            self._ahead.append((x, y, f"input {index} of {_named(a)}"))
        return True, ""

    def _pass_over_bias(
        self, a: ir.Node, firsts: list[ir.Value | None], seconds: Sequence[ir.Value | None]
    ) -> None:
        index, name = operator_named(a.op_type).bias, a.outputs[0].name
        if not isinstance(index, int) or name not in self._gained or not any(firsts[index:]):
            return
        if not any(seconds[index:]):
            del firsts[index:]
            self._passed_over.add(name)

    def _compare_attributes(self, a: ir.Node, b: ir.Node, pair: str) -> None:
        for name in sorted(a.attributes.keys() | b.attributes.keys()):
            x, y = a.attributes.get(name), b.attributes.get(name)
            if x is None or y is None or x.type != y.type:
                self._found.append(f"{pair}: attribute {name} is {_value(x)} and {_value(y)}")
            elif x.type in _GRAPHS:
                xs, ys = _bodies(x), _bodies(y)
                if len(xs) != len(ys):
                    self._found.append(f"{pair}: attribute {name} has {len(xs)} and {len(ys)}")
                for first, second in zip(xs, ys, strict=False):
                    self._pair_graphs(first, second, f"{name} of {_named(a)}")
            elif x.type == ir.AttributeType.TENSOR:
                if not _same_tensor(x.as_tensor(), y.as_tensor()):
                    self._found.append(f"{pair}: attribute {name} is {_value(x)} and {_value(y)}")
            elif x.value != y.value:
                self._found.append(f"{pair}: attribute {name} is {_value(x)} and {_value(y)}")


def _same_constant(first: ir.TensorProtocol, second: ir.TensorProtocol) -> bool:
    if first.dtype.is_floating_point() and len(first.shape) > 0:
        return first.dtype == second.dtype and first.shape == second.shape
    return _same_tensor(first, second)


def _bodies(attribute: ir.Attr) -> Sequence[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    return attribute.as_graphs()


def _dead(model: ir.Model) -> Iterator[str]:
    """Operators and initializers that no output depends on."""
    live: set[ir.Value] = set()
    ahead: list[ir.Value | None] = list(model.graph.outputs)
    while ahead:
        value = ahead.pop()
        if value is None or value in live:
            continue
        live.add(value)
        if (node := value.producer()) is not None:
            ahead += node.inputs
            for attribute in node.attributes.values():
                if attribute.type in _GRAPHS:
                    ahead += [v for body in _bodies(attribute) for v in body.outputs]
    for graph in model.graphs():
        for node in graph:
            if not live.intersection(node.outputs):
                yield _named(node)
        for value in graph.initializers.values():
            if value not in live:
                yield f"initializer {value.name!r}"


def _named(node: ir.Node) -> str:
    return f"{node.op_type} {node.name or node.outputs[0].name!r}"


def _title(value: ir.Value | None) -> str:
    if value is None:
        return "nothing"
    tensor = held_constant(value)
    if tensor is not None:
        text = f"constant {value.name!r} {tensor.dtype}{list(tensor.shape)}"
        return text if tensor.size > 8 else f"{text} = {tensor.numpy().tolist()}"
    node = value.producer()
    return _named(node) if node is not None else f"input {value.name!r}"


def _value(attribute: ir.Attr | None) -> str:
    if attribute is None:
        return "absent"
    value = attribute.value
    return repr(value.numpy().tolist() if attribute.type == ir.AttributeType.TENSOR else value)


def _same_tensor(first: ir.TensorProtocol, second: ir.TensorProtocol) -> bool:
    """Whether type, shape and every value are equal; NaN equals NaN."""
    if first.dtype != second.dtype or tuple(first.shape) != tuple(second.shape):
        return False
    nan = first.dtype.is_floating_point()
    return bool(np.array_equal(first.numpy(), second.numpy(), equal_nan=nan))
