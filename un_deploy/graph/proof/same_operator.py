"""Whether an operator of the folded graph is one of the original's, bodies included.

It is where type, attributes and bodies are alike, and every tensor that it reads holds the same
numbers as the one that the original reads. Nothing is evaluated, so any operator will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import onnx_ir as ir

#: Whether a tensor of the folded graph (first) holds what one of the original (second) holds;
#: the last argument says that only its shape is read.
SameTensor = Callable[[ir.Value, ir.Value, bool], bool]

#: These read a tensor's shape and none of its values.
_SHAPE_ONLY = ("Shape", "Size")


def difference(
    new: ir.Node,
    old: ir.Node,
    same: SameTensor,
    same_body: Callable[[ir.Node, ir.Node, str], bool] = lambda new, old, name: False,
) -> str:
    """The first thing that tells an operator from the original's; empty where there is none.

    `same_body` is asked of a body, by the name of its attribute, that is not the original's.
    """
    return _Comparison(same).nodes(new, old, same_body)


@dataclass
class _Comparison:
    """Two graphs compared operator by operator; `pairs` are the tensors of bodies found alike."""

    outer: SameTensor
    pairs: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def nodes(
        self,
        new: ir.Node,
        old: ir.Node,
        same_body: Callable[[ir.Node, ir.Node, str], bool] = lambda new, old, name: False,
    ) -> str:
        if _kind(new) != _kind(old):
            return f"is a {new.op_type}, the original has a {old.op_type}"
        if len(new.outputs) != len(old.outputs):
            return f"has {len(new.outputs)} outputs, the original {len(old.outputs)}"
        shape_only = new.op_type in _SHAPE_ONLY and not new.domain
        for a, b in zip_longest(_inputs(new), _inputs(old)):
            if a is None and b is None:
                continue
            if a is None or b is None or not self._same(a, b, shape_only):
                if a is not None and b is not None and a.name == b.name:
                    return f"reads {_named(a)}, which holds something else in the original"
                return f"reads {_named(a)}, where the original reads {_named(b)}"
        for name in sorted(new.attributes.keys() | old.attributes.keys()):
            ours, theirs = new.attributes.get(name), old.attributes.get(name)
            reason = self._attributes(name, ours, theirs)
            if reason and not same_body(new, old, name):
                return reason
        return ""

    def _same(self, new: ir.Value, old: ir.Value, shape_only: bool) -> bool:
        return self.pairs[new] is old if new in self.pairs else self.outer(new, old, shape_only)

    def _attributes(self, name: str, new: ir.Attr | None, old: ir.Attr | None) -> str:
        if new is None or old is None:
            return f"has {'no' if new is None else 'an'} attribute {name!r}, unlike the original"
        if new.type != old.type:
            return f"has an attribute {name!r} of another type"
        if new.type == ir.AttributeType.GRAPH:
            return self._graphs(name, new.as_graph(), old.as_graph())
        if new.type == ir.AttributeType.GRAPHS:
            bodies = zip_longest(new.as_graphs(), old.as_graphs())
            found = (
                f"has other {name}" if a is None or b is None else self._graphs(name, a, b)
                for a, b in bodies
            )
            return next(filter(None, found), "")
        if not _equal(new, old):
            return f"has the attribute {name!r} {_short(new)}, the original {_short(old)}"
        return ""

    def _graphs(self, name: str, new: ir.Graph, old: ir.Graph) -> str:
        sizes = [(len(g.inputs), len(g), len(g.outputs)) for g in (new, old)]
        if sizes[0] != sizes[1]:
            return f"has a body {name!r} of another form"
        inside = _Comparison(self._same, dict(self.pairs))
        for key, value in new.initializers.items():
            other = old.initializers.get(key)
            if other is None or not same_numbers(value.const_value, other.const_value):
                return f"has a body {name!r} whose constant {key!r} holds other numbers"
            inside.pairs[value] = other
        inside.pairs.update(zip(new.inputs, old.inputs, strict=True))
        for node, other_node in zip(new, old, strict=True):
            if reason := inside.nodes(node, other_node):
                return f"has a body {name!r} whose {node.name or node.op_type!r} {reason}"
            inside.pairs.update(zip(node.outputs, other_node.outputs, strict=True))
        for a, b in zip(new.outputs, old.outputs, strict=True):
            if not inside._same(a, b, False):
                return f"has a body {name!r} that gives {a.name!r}, the original's gives {b.name!r}"
        return ""


def same_numbers(new: ir.TensorProtocol | None, old: ir.TensorProtocol | None) -> bool:
    """Whether two tensors are equal bit for bit, type and shape included."""
    if new is None or old is None:
        return new is old
    new, old = _held(new), _held(old)
    if new is old:
        return True
    if new.dtype != old.dtype or new.shape != old.shape:
        return False
    if isinstance(new, ir.ExternalTensor) and isinstance(old, ir.ExternalTensor):
        places = [(t.path, t.offset, t.length) for t in (new, old)]
        if places[0] == places[1]:
            return True
    if new.dtype == ir.DataType.STRING:
        return bool(np.array_equal(new.numpy(), old.numpy()))
    return _same_bits(new.numpy(), old.numpy())


def _same_bits(new: np.ndarray, old: np.ndarray) -> bool:
    if new.dtype != old.dtype:
        return False
    bits = f"V{new.dtype.itemsize}" if new.dtype.itemsize > 8 else f"u{new.dtype.itemsize}"
    return bool(
        np.array_equal(np.ascontiguousarray(new).view(bits), np.ascontiguousarray(old).view(bits))
    )


def _held(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """The tensor that a lazy one, as `own_tensors` makes them, stands for."""
    while isinstance(tensor, ir.LazyTensor):
        tensor = tensor.raw()
    return tensor


def _kind(node: ir.Node) -> tuple[str, str, str]:
    return ("" if node.domain == "ai.onnx" else node.domain), node.op_type, node.overload


def _inputs(node: ir.Node) -> list[ir.Value | None]:
    """What it reads; empty inputs at the end say nothing."""
    inputs = list(node.inputs)
    while inputs and inputs[-1] is None:
        inputs.pop()
    return inputs


def _equal(new: ir.Attr, old: ir.Attr) -> bool:
    if new.type == ir.AttributeType.TENSOR:
        return same_numbers(new.as_tensor(), old.as_tensor())
    if new.type == ir.AttributeType.TENSORS:
        pairs = zip_longest(new.as_tensors(), old.as_tensors())
        return all(same_numbers(a, b) for a, b in pairs)
    if new.type in (ir.AttributeType.FLOAT, ir.AttributeType.FLOATS):
        return bool(np.array_equal(np.asarray(new.value), np.asarray(old.value), equal_nan=True))
    return bool(new.value == old.value)


def _short(attribute: ir.Attr) -> str:
    text = str(attribute.value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _named(value: ir.Value | None) -> str:
    return "nothing" if value is None else repr(value.name)
