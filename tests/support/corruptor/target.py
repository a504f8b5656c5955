"""A model about to be damaged: what may be damaged in it, and what is named for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import onnx_ir as ir

from tests.support.corruptor.tensors import Tensors, bodies, is_constant
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.model.labels import node_name

T = TypeVar("T")

#: These read no numbers of their inputs (of the second one).
_READ_NO_NUMBERS = (("Shape", 0), ("Size", 0), ("CastLike", 1))


@dataclass(frozen=True)
class Place:
    """What was damaged.

    Attributes:
        text: what was done.
        names: what may be named for it: the operator or constant that is damaged, what reads it,
            the operator in whose body it lies, and what these give.
    """

    text: str
    names: frozenset[str]


class Target:
    """A copy of a folded model that one damage may change.

    Attributes:
        model: the copy.
        tensors: of the model that it is a copy of.
        random: draws the place.
        nodes: the operators that may be damaged; an output depends on each.
    """

    def __init__(self, model: ir.Model, tensors: Tensors, random: Random) -> None:
        self.model = model
        self.tensors = tensors
        self.random = random
        self.nodes = [*_live(model.graph, model)]
        self._owners = {body: node for node in self.nodes for body in bodies(node, model)}

    def bodies(self) -> list[ir.Graph]:
        """The bodies of operators that an output depends on."""
        return [body for node in self.nodes for body in bodies(node, self.model)]

    def stay_within(self, graph: ir.Graph) -> None:
        """Damage nothing outside this body."""
        self.nodes = [node for node in self.nodes if node.graph is graph]

    def shuffled(self, things: Sequence[T]) -> list[T]:
        return self.random.sample(things, len(things))

    def constants(self) -> list[ir.Value]:
        """Initializers and what Constant operators give, where an operator reads their numbers."""
        found = {
            value: None
            for node in self.nodes
            for index, value in enumerate(node.inputs)
            if value is not None and is_constant(value) and reads_numbers(node, index)
        }
        return self.shuffled([*found])

    def before(self, node: ir.Node) -> Iterator[ir.Value]:
        """The tensors that an operator could read: of its graph, and of those around it."""
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        yield from graph.inputs
        yield from graph.initializers.values()
        for other in graph:
            if other is node:
                break
            yield from other.outputs
        if graph in self._owners:
            yield from self.before(self._owners[graph])

    def place(self, text: str, *damaged: ir.Node | ir.Value) -> Place:
        """What these are called, and what reads them."""
        names: set[str] = set()
        for one in damaged:
            if isinstance(one, ir.Value):
                names.add(str(one.name))
                made_by = one.producer()  # a Constant operator
                readers = [n for n in (made_by, *(node for node, _ in one.uses())) if n is not None]
            else:
                readers = [one, *(node for value in one.outputs for node, _ in value.uses())]
            for node in readers:
                names.update(name for n in _with_bias(node) for name in self._with_owners(n))
        return Place(text, frozenset(names))

    def _with_owners(self, node: ir.Node) -> Iterator[str]:
        yield node_name(node)
        yield from (str(value.name) for value in node.outputs)
        if (function := self.model.functions.get(node.op_identifier())) is not None:
            calls = sum(one.op_identifier() == node.op_identifier() for one in self.nodes)
            for inner in function:  # it reads what the call reads; inlining numbers the copies
                yield node_name(inner)
                yield from (f"{node_name(inner)}_{copy}" for copy in range(2, calls + 1))
        if node.graph in self._owners:
            owner = self._owners[node.graph]
            if owner.op_identifier() in self.model.functions:
                yield f"the function {owner.op_type}"
            yield from self._with_owners(owner)


def reads_numbers(node: ir.Node, index: int) -> bool:
    """Whether an operator reads more of this input than its shape or type."""
    return (node.op_type, index) not in _READ_NO_NUMBERS


def _with_bias(node: ir.Node) -> list[ir.Node]:
    """An operator, and the Add behind it that holds its bias, or the operator whose bias it is."""
    found = [node]
    if operator_named(node.op_type).bias == "behind":
        found += [n for n, _ in node.outputs[0].uses() if n.op_type == "Add"]
    if node.op_type == "Add":
        producers = (v.producer() for v in node.inputs if v is not None)
        found += [n for n in producers if n and operator_named(n.op_type).bias == "behind"]
    return found


def _live(graph: ir.Graph, model: ir.Model) -> Iterator[ir.Node]:
    """The operators that an output of the graph depends on, those of their bodies among them."""
    needed = set(graph.outputs)
    for node in reversed(graph):
        if needed.isdisjoint(node.outputs):
            continue
        yield node
        needed.update(v for v in node.inputs if v is not None)
        for body in bodies(node, model):
            for inner in _live(body, model):
                yield inner
                needed.update(v for v in inner.inputs if v is not None)
