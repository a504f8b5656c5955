"""Where two graphs that share the names of their tensors differ, operator by operator.

What stands at the same name is compared: type, attributes, bodies, what is read, constants bit for
bit. Some differences may be another way to the same numbers (an operator is missing, new, or
another one): then the tensors themselves tell. Others may not, whatever the tensors hold on the
inputs at hand: an operator that reads another tensor of the two graphs, another attribute, another
number in a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Literal

import onnx
import onnx_ir as ir

from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.proof.same_operator import difference, same_numbers

_COMMUTATIVE = {"Add", "And", "Equal", "Max", "Mean", "Min", "Mul", "Or", "Sum", "Xor"}


@dataclass(frozen=True)
class Difference:
    """One place at which two graphs differ.

    Attributes:
        place: the operator or constant.
        text: what is different, as a sentence.
        may_be_equal: whether it may be another way to the same numbers.
        branches: the bodies that differ, of an If whose condition the main graph computes.
        node: the second graph's operator, if there is one.
    """

    place: str
    text: str
    may_be_equal: bool = False
    branches: tuple[str, ...] = ()
    node: ir.Node | None = None


def differences(first: ir.Model, second: ir.Model) -> Iterator[Difference]:
    """All of them, in the order of the second graph, constants at the end.

    The first graph is the fold that the second one, the other network, is held against.
    """
    return _Graphs(first, second).differences()


def share_of_names(first: ir.Model, second: ir.Model) -> float:
    """The share of the second graph's inner tensors and constants that the first one has by name.

    Inputs and outputs do not count: any two networks of one signature have them in common.
    """
    ends = {value.name for value in (*second.graph.inputs, *second.graph.outputs)}
    names = set(_tensors(second)) - ends
    return len(names & set(_tensors(first))) / len(names) if names else 0.0


def left_out(first: ir.Model, second: ir.Model) -> list[str]:
    """Operators of the first graph that the second one lacks, if it has none that it lacks itself.

    Then nothing in it can do their work.
    """
    old, new = (
        {(_key(node), node.op_type, node.domain): node_name(node) for node in model.graph}
        for model in (first, second)
    )
    return [name for key, name in old.items() if key not in new] if new.keys() <= old.keys() else []


def another_operator(node: ir.Node, old: ir.Node, text: str) -> str:
    """What tells an operator of the other network from the fold's, as a sentence.

    Args:
        text: what `un_deploy.graph.proof.same_operator.difference` says; empty: only the names of
            their outputs differ.
    """
    text = text.replace("the original", "the fold") or "gives its outputs other names"
    if node.op_type != old.op_type:
        text = f"is a {node.op_type}, the fold has a {old.op_type} ({node_name(old)!r})"
    return f"the operator {node_name(node)!r} of the other network {text}"


def same_graph(first: ir.Model, second: ir.Model) -> bool:
    """Whether two models are one and the same: signature, operators, bodies, and every bit."""
    if _ends(first) != _ends(second) or first.opset_imports != second.opset_imports:
        return False
    if len(first.graph) != len(second.graph):
        return False
    if first.graph.initializers.keys() != second.graph.initializers.keys():
        return False
    return next(differences(first, second), None) is None


class _Graphs:
    def __init__(self, first: ir.Model, second: ir.Model) -> None:
        self._first, self._second = first, second
        self._tensors = _tensors(first), _tensors(second)

    def differences(self) -> Iterator[Difference]:
        made = {_key(node): node for node in self._first.graph}
        for node in self._second.graph:
            old = made.pop(_key(node), None)
            if old is None:
                text = f"{_operator(node)} of the other network is not in the fold"
                yield Difference(node_name(node), text, may_be_equal=True, node=node)
            elif (text := difference(node, old, self._same)) != "" or _outputs(node, old):
                found = self._classified(node, old, another_operator(node, old, text))
                if found is not None:
                    yield found
        for node in made.values():
            text = f"{_operator(node)} of the fold is not in the other network"
            yield Difference(node_name(node), text, may_be_equal=True)
        yield from self._constants()

    def _constants(self) -> Iterator[Difference]:
        old = self._first.graph.initializers
        for name, value in self._second.graph.initializers.items():
            if name in old and not same_numbers(value.const_value, old[name].const_value):
                here = f"the constant {name!r} of the other network"
                yield Difference(name, f"{here} holds other numbers than in the fold")

    def _same(self, new: ir.Value, old: ir.Value, shape_only: bool = False) -> bool:
        """The same name, behind operators that change nothing; or constants of equal numbers."""
        new, old = _source(new), _source(old)
        if new.name == old.name:
            return True
        constants = held_constant(new), held_constant(old)
        return None not in constants and same_numbers(*constants)

    def _classified(self, node: ir.Node, old: ir.Node, text: str) -> Difference | None:
        """What kind of difference it is; None where the two only say the same in other words."""
        place, domain = node_name(node), node.domain
        certain = Difference(place, text, node=node)
        open_ = replace(certain, may_be_equal=True)
        if (node.op_type, domain) != (old.op_type, old.domain):
            return open_
        if self._first.opset_imports.get(domain) != self._second.opset_imports.get(domain):
            return open_  # another version of the operator may state the same in other ways
        if len(node.inputs) != len(old.inputs) or _outputs(node, old):
            return open_
        reads = self._reads(node, old)
        changed = [name for name in _attribute_names(node, old) if self._changed(name, node, old)]
        bodies = [name for name in changed if _is_body(node, name) and _is_body(old, name)]
        if reads == "elsewhere" or len(bodies) < len(changed):
            return certain
        if bodies:
            told = node.op_type == "If" and not any(_has_bodies(node, name) for name in bodies)
            return replace(certain, may_be_equal=told, branches=tuple(bodies))
        if reads == "unknown":
            return open_
        said = any(_raw(node, name) != _raw(old, name) for name in _attribute_names(node, old))
        swapped = node.op_type in _COMMUTATIVE
        return None if said or swapped else certain

    def _reads(self, node: ir.Node, old: ir.Node) -> Literal["the same", "elsewhere", "unknown"]:
        """Whether it reads the same; "elsewhere": another tensor, though the right one is there."""
        pairs = list(zip(node.inputs, old.inputs, strict=True))
        if node.op_type in _COMMUTATIVE and not node.domain and self._swapped(node, old):
            return "the same"
        unknown = False
        for new_input, old_input in pairs:
            if new_input is None or old_input is None:
                if new_input is not old_input:
                    return "elsewhere"
            elif not self._same(new_input, old_input):
                sources = _source(new_input), _source(old_input)
                if all(held_constant(source) for source in sources):
                    return "elsewhere"
                if all(source.name in names for source in sources for names in self._tensors):
                    return "elsewhere"
                unknown = True
        return "unknown" if unknown else "the same"

    def _changed(self, name: str, node: ir.Node, old: ir.Node) -> bool:
        """Whether an attribute says something else."""
        return _raw(node, name) != _raw(old, name) and (
            self._stated(node, name) != self._stated(old, name)
        )

    def _stated(self, node: ir.Node, name: str) -> bytes:
        """What an attribute says, also where it says it by being absent, or counts from the end."""
        attribute = node.attributes.get(name)
        if attribute is None:
            with suppress(onnx.defs.SchemaError, KeyError):
                opset = self._second.opset_imports[node.domain]
                schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
                default = schema.attributes[name].default_value
                attribute = ir.serde.deserialize_attribute(default)
        if attribute is None or attribute.type == ir.AttributeType.UNDEFINED:
            return b""
        if name == "axis" and attribute.as_int() < 0 and node.inputs[0] is not None:
            shape = self._shapes.of(node.inputs[0])
            attribute = ir.AttrInt64(name, attribute.as_int() + len(shape or ()))
        return _bytes(ir.to_proto(attribute))

    @cached_property
    def _shapes(self) -> Shapes:
        """Of the second graph; asked for only where an axis is stated in two ways."""
        return Shapes(self._second)

    def _swapped(self, node: ir.Node, old: ir.Node) -> bool:
        """Whether the inputs are the same in another order."""
        left = [value for value in old.inputs if value is not None]
        for value in node.inputs:
            match = next((o for o in left if value is not None and self._same(value, o)), None)
            if match is None:
                return False
            left.remove(match)
        return not left


def _operator(node: ir.Node) -> str:
    return f"the operator {node_name(node)!r} ({node.op_type})"


def _key(node: ir.Node) -> str:
    """What an operator of one graph is found by in the other: the first tensor that it makes."""
    return next((str(value.name) for value in node.outputs if value.name), node_name(node))


def _outputs(node: ir.Node, old: ir.Node) -> bool:
    """Whether the names of their outputs differ."""
    return [value.name for value in node.outputs] != [value.name for value in old.outputs]


def _source(value: ir.Value) -> ir.Value:
    """The tensor itself, in front of every Identity."""
    while (node := value.producer()) is not None and node.op_type == "Identity":
        if node.domain or node.inputs[0] is None:
            break
        value = node.inputs[0]
    return value


def _attribute_names(node: ir.Node, old: ir.Node) -> list[str]:
    return sorted(node.attributes.keys() | old.attributes.keys())


def _raw(node: ir.Node, name: str) -> bytes:
    attribute = node.attributes.get(name)
    return b"" if attribute is None else _bytes(ir.to_proto(attribute))


def _bytes(proto: onnx.AttributeProto) -> bytes:
    copy = onnx.AttributeProto()
    copy.CopyFrom(proto)
    copy.ClearField("doc_string")
    return bytes(copy.SerializeToString(deterministic=True))


def _is_body(node: ir.Node, name: str) -> bool:
    attribute = node.attributes.get(name)
    return attribute is not None and attribute.type == ir.AttributeType.GRAPH


def _has_bodies(node: ir.Node, name: str) -> bool:
    """Whether a body holds bodies itself, of which nothing outside tells whether they are run."""
    inner = node.attributes[name].as_graph()
    types = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(a.type in types for one in inner for a in one.attributes.values())


def _tensors(model: ir.Model) -> dict[str, ir.Value]:
    """The tensors of the main graph by name."""
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    values += [value for node in model.graph for value in node.outputs]
    return {str(value.name): value for value in values if value.name}


def _ends(model: ir.Model) -> list[tuple[str | None, str, str]]:
    ends = chain(model.graph.inputs, model.graph.outputs)
    return [(value.name, str(value.type), str(value.shape)) for value in ends]
