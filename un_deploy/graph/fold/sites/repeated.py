"""A constant behind Expand, Tile or ConstantOfShape, which repeat it, often for an open batch."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import Shape, same_dim, same_shape
from un_deploy.graph.fold.graph_facts import GraphFacts


def constant_behind(value: ir.Value | None, constants: Constants) -> ir.Value | None:
    """The value where it is constant, or the constant that Expands and Tiles repeat to make it."""
    while value is not None and value not in constants:
        node = value.producer()
        if node is None or node.domain or node.op_type not in ("Expand", "Tile"):
            return None
        value = node.inputs[0]
    return value


def is_broadcast(own: Shape | None, shape: Shape | None) -> bool:
    """Whether a tensor is 1 along each axis of another, or as large."""
    if own is None or shape is None or len(own) > len(shape):
        return False
    pairs = zip(own[::-1], shape[::-1], strict=False)
    return all(size == 1 or same_dim(size, dim) for size, dim in pairs)


def stored_operands(node: ir.Node, facts: GraphFacts) -> Iterator[tuple[int, ir.Value]]:
    """The operands that are constants, repeated to the size that a sum or product has without it.

    Each may be read before it is repeated, since the operator broadcasts: by position, the
    constant. So it can take another scale and shift in each operator that reads it.
    """
    if node.domain or node.op_type not in ("Add", "Sub", "Sum", "Mul", "Div"):
        return
    whole = facts.shape(node.outputs[0])
    found = {i: v for i, value in enumerate(node.inputs) if (v := _repeated(value, facts))}
    others = (v for i, v in enumerate(node.inputs) if v is not None and i not in found)
    if found and any(same_shape(facts.shape(other), whole) for other in others):
        yield from found.items()


def _repeated(value: ir.Value | None, facts: GraphFacts) -> ir.Value | None:
    """The constant, of size 1 along these axes, that is repeated to make a tensor that is none."""
    if value is None or value in facts.constants:
        return None
    made_by = value.producer()
    if made_by is not None and not made_by.domain and made_by.op_type == "ConstantOfShape":
        number = made_by.attributes.get_tensor("value", None)
        held = ir.tensor([0.0], ir.DataType.FLOAT) if number is None else number
        one = ir.Tensor(held.numpy().reshape(()), dtype=held.dtype)
        kind = ir.TensorType(held.dtype)
        return ir.Value(name=value.name, shape=ir.Shape(()), type=kind, const_value=one)
    source = constant_behind(value, facts.constants)
    fits = source is not None and is_broadcast(facts.sizes(source), facts.shape(value))
    return source if fits else None
