"""The modulation n * o + t of diffusion transformers, where one linear operator makes o and t.

A shift b of n adds b * o to the result. Both o and t are entries of what the linear operator makes,
so its columns can hold that: those of t take in b times those of o.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators import Unknown, evaluate
from un_deploy.graph.fold.graph_facts import GraphFacts

Array = np.ndarray
#: A condition has few rows: one an image, not one a token.
_ROWS = 64
_MOVING = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Split", "Slice", "Gather")


@dataclass(frozen=True)
class Mixing:
    """A product n * o, the Add of t behind it, and the linear operator that makes o and t.

    Attributes:
        add: the Add.
        t: what it adds.
        factor: which operand of the product is o.
        linear: a MatMul or Gemm by a matrix.
        axis: that of its output channels in its weight.
        bias: the operator and the input that hold its bias.
        target: for each channel, the output channel of the linear operator that is t's.
        source: the one that is o's.
        constant: what is added to it on the way to o.
        between: the tensors from the linear operator's output to o and t.
    """

    add: ir.Node
    t: ir.Value
    factor: int
    linear: ir.Node
    axis: int
    bias: tuple[ir.Node, int]
    target: Array = field(repr=False)
    source: Array = field(repr=False)
    constant: Array = field(repr=False)
    between: tuple[ir.Value, ...] = field(repr=False)


def mixings(facts: GraphFacts) -> Mapping[ir.Node, Mixing]:
    """Those of a graph, by their product."""
    found: dict[ir.Node, Mixing] = {}
    for linear in facts.model.graph:
        if (made := _made(linear, facts)) is None:
            continue
        output, axis, bias, channels = made
        places = _places(output, channels, facts)
        for value in places:
            for product, mixing in _of(value, places, facts):
                found.setdefault(product, Mixing(**mixing, linear=linear, axis=axis, bias=bias))
    return found


def _made(
    node: ir.Node, facts: GraphFacts
) -> tuple[ir.Value, int, tuple[ir.Node, int], int] | None:
    """A linear operator's output with its bias, where its channels lie, how many there are."""
    if node.domain or node.op_type not in ("Gemm", "MatMul") or len(node.inputs) < 2:
        return None
    weight = node.inputs[1]
    if weight not in facts.constants or node.inputs[0] in facts.constants:
        return None
    assert weight is not None
    sizes = facts.sizes(weight)
    if len(sizes) != 2:
        return None
    if node.op_type == "MatMul":
        bias = facts.biases.get(node)
        return None if bias is None else (bias[0].outputs[0], 1, bias, sizes[1])
    plain = all(node.attributes.get_float(name, 1.0) == 1 for name in ("alpha", "beta"))
    c = node.inputs[2] if len(node.inputs) > 2 else None
    axis = 0 if node.attributes.get_int("transB", 0) else 1
    if c not in facts.constants or not plain or _int(node, "transA"):
        return None
    assert c is not None
    if facts.sizes(c)[-1:] != (sizes[axis],) or math.prod(facts.sizes(c)) != sizes[axis]:
        return None
    return node.outputs[0], axis, (node, 2), sizes[axis]


def _int(node: ir.Node, name: str) -> int:
    return node.attributes.get_int(name, 0)


def _places(output: ir.Value, channels: int, facts: GraphFacts) -> dict[ir.Value, Array]:
    """Which channels of a linear operator's output stand where in what is only moved from it."""
    shape = facts.shape(output)
    if not shape or shape[-1] != channels:
        return {}
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    if math.prod(sizes[:-1]) > _ROWS:
        return {}
    found = {output: np.broadcast_to(np.arange(channels), sizes)}
    pending = [output]
    while pending:
        value = pending.pop()
        for moved, (array,) in _moved(value, [found[value]], facts):
            found[moved] = array
            pending.append(moved)
    return found


def _moved(
    value: ir.Value, arrays: list[Array], facts: GraphFacts
) -> Iterator[tuple[ir.Value, list[Array]]]:
    """What only moves the numbers of a tensor, and where those of these arrays come to lie."""
    for node, position in value.uses():
        if node.op_type not in _MOVING or position != 0 or node.graph is not facts.model.graph:
            continue
        others = list(node.inputs[1:])
        inputs = [facts.integers(v) for v in others]
        if any(a is None and v is not None for a, v in zip(inputs, others, strict=True)):
            continue
        try:
            outputs = [evaluate(node, [array, *inputs], facts.opset) for array in arrays]
        except Unknown:
            continue
        if all(array.size for array in outputs[0]):  # at other sizes there may be something
            for moved, *parts in zip(node.outputs, *outputs, strict=False):
                yield moved, parts


def _of(
    value: ir.Value, places: Mapping[ir.Value, Array], facts: GraphFacts
) -> Iterator[tuple[ir.Node, dict]]:
    """The products of which a tensor, or that and a constant, is the factor."""
    for o, array, constant, passed in _with_constants(value, places[value], facts):
        for product, factor in o.uses():
            n = product.inputs[1 - factor] if len(product.inputs) == 2 else None
            out = product.outputs[0]
            uses = list(out.uses())
            if product.op_type != "Mul" or product.domain or n in facts.constants or n is o:
                continue
            if len(uses) != 1 or uses[0][0].op_type != "Add" or out.is_graph_output():
                continue
            ((add, place),) = uses
            if add.domain or add.graph is not facts.model.graph:
                continue
            t = add.inputs[1 - place]
            if t not in places or t is None or add.graph is not product.graph:
                continue
            source, target = _row(array), _row(places[t])
            if source is None or target is None or len(source) != len(target):
                continue
            target_users = _readers_by_channel(places)
            row = _row(constant)
            alone = all(
                readers <= {(add, 1 - place)}
                for channel in target
                for readers in [target_users.get(int(channel), set())]
            )
            fits = facts.shape(out) and (facts.shape(out) or ())[-1] == len(source)
            if row is None or not alone or not fits or len(set(target)) < len(target):
                continue
            if set(target) & set(source):
                continue
            yield (
                product,
                {
                    "add": add,
                    "t": t,
                    "factor": factor,
                    "target": target,
                    "source": source,
                    "constant": row,
                    "between": (*places, *passed),
                },
            )


def _with_constants(
    value: ir.Value, array: Array, facts: GraphFacts
) -> Iterator[tuple[ir.Value, Array, Array, list[ir.Value]]]:
    """A tensor, and its sums with constants, as the 1 of 1 + s, and what only moves such a sum.

    With each come the channels and the constants at its places, and all tensors on the way.
    """
    yield value, array, np.zeros(array.shape), []
    for node, position in value.uses():
        other = node.inputs[1 - position] if len(node.inputs) == 2 else None
        if node.op_type != "Add" or node.domain or other not in facts.constants:
            continue
        assert other is not None
        constant = np.asarray(facts.constants[other])
        if facts.shape(node.outputs[0]) is None or len(facts.shape(value) or ()) < constant.ndim:
            continue
        row = _row(np.broadcast_to(constant, np.broadcast_shapes(constant.shape, (1,))))
        if row is None or len(row) not in (1, array.shape[-1]):
            continue
        added = np.broadcast_to(row, array.shape)
        pending = [(node.outputs[0], array, added, [node.outputs[0]])]
        while pending:
            o, channels, constants, passed = pending.pop()
            yield o, channels, constants, passed
            for moved, (where, what) in _moved(o, [channels, constants], facts):
                pending.append((moved, where, what, [*passed, moved]))


def _row(array: Array) -> Array | None:
    """An array that varies along its last axis alone, as a vector."""
    if not array.ndim or not array.size:
        return None
    rows = array.reshape(-1, array.shape[-1])
    return rows[0] if np.all(rows == rows[0]) else None


def _readers_by_channel(
    places: Mapping[ir.Value, Array],
) -> dict[int, set[tuple[ir.Node | None, int]]]:
    """Who reads a channel's numbers, as against moving them on; None: the graph's caller."""
    readers: dict[int, set[tuple[ir.Node | None, int]]] = {}
    for value, array in places.items():
        uses: set[tuple[ir.Node | None, int]] = {
            (node, position)
            for node, position in value.uses()
            if node.op_type not in ("Shape", "Size") and not _moves_on(node, places)
        }
        if value.is_graph_output():
            uses.add((None, 0))
        for channel in np.unique(array) if uses else ():
            readers.setdefault(int(channel), set()).update(uses)
    return readers


def _moves_on(node: ir.Node, places: Mapping[ir.Value, Array]) -> bool:
    """Whether it only moves what it reads, to where it is followed."""
    return node.op_type in _MOVING and all(value in places for value in node.outputs)
