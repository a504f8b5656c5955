"""The part of a graph that computes one tensor from others, and its evaluation in float64."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluation_order import drop_read, last_readers
from un_deploy.graph.analysis.evaluators import evaluate_exact
from un_deploy.graph.analysis.floating import is_floating, narrows
from un_deploy.graph.fold.rules import operator_named

Array = np.ndarray

#: More operators than this between two tensors is no region that a fold touches.
_MOST = 200


class OutsideError(Exception):
    """The way back from a tensor leads past those it should be computed from."""


@dataclass(frozen=True)
class Slice:
    """What computes a tensor.

    Attributes:
        target: the tensor.
        nodes: the operators, each behind those that it reads.
        leaves: the tensors that they read and do not compute.
        constants: the constants among what they read.
        sizes: the shapes of tensors elsewhere among what they read.
    """

    target: ir.Value
    nodes: tuple[ir.Node, ...]
    leaves: tuple[ir.Value, ...]
    constants: tuple[ir.Value, ...] = ()
    sizes: tuple[ir.Value, ...] = ()


def slice_of(
    target: ir.Value,
    is_leaf: Callable[[ir.Value], bool],
    is_constant: Callable[[ir.Value], bool],
    *,
    to_sizes: bool = False,
) -> Slice:
    """What computes `target`, back to leaves and constants; the target itself is no leaf.

    Args:
        target: a tensor of a main graph.
        is_leaf, is_constant: where the way back ends.
        to_sizes: it ends at shapes of tensors, too.

    Raises:
        OutsideError: an input of the graph that is no leaf is read.
    """
    nodes: dict[ir.Node, None] = {}
    leaves: dict[ir.Value, None] = {}
    constants: dict[ir.Value, None] = {}
    sizes: dict[ir.Value, None] = {}
    pending: list[ir.Value | ir.Node] = [target]
    entered: set[ir.Node] = set()
    while pending:
        value = pending.pop()
        if isinstance(value, ir.Node):  # all that it reads is there
            nodes[value] = None
        elif is_constant(value):
            constants[value] = None
        elif value is not target and is_leaf(value):
            leaves[value] = None
        elif to_sizes and value is not target and _is_shape(value):
            sizes[value] = None
        else:
            node = value.producer()
            if node is None:
                raise OutsideError(f"{value.name!r}")
            if node in entered:
                continue
            entered.add(node)
            if len(entered) > _MOST:
                raise OutsideError(f"{value.name!r}, {_MOST} operators away")
            pending.append(node)
            pending.extend(v for v in reversed(node.inputs) if v is not None)
    return Slice(target, tuple(nodes), tuple(leaves), tuple(constants), tuple(sizes))


def leading_to(target: ir.Value) -> list[ir.Value]:
    """What a tensor is computed from, as far back as a slice may reach, the nearest first."""
    found = {target: None}
    pending = deque([target])
    while pending and len(found) < _MOST:
        node = pending.popleft().producer()
        for value in () if node is None else node.inputs:
            if value is not None and value not in found:
                found[value] = None
                pending.append(value)
    return [value for value in found if value is not target]


def _is_shape(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type in ("Shape", "Size") and not node.domain


@dataclass(frozen=True)
class Evaluation:
    """How the operators of one graph are evaluated.

    Attributes:
        opset: of the default domain.
    """

    opset: int

    def narrowings(
        self, nodes: Iterable[ir.Node], dtype: Callable[[ir.Value], ir.DataType | None]
    ) -> list[str]:
        """The narrower types that these operators cast floating tensors to."""
        return sorted(
            ir.DataType(node.attributes["to"].as_int()).name
            for node in nodes
            if narrows(node, dtype)
        )

    def run(self, part: Slice, values: Mapping[ir.Value, Array]) -> Array:
        """The slice's target, from arrays for its leaves and constants.

        Raises:
            Unknown: an operator is not on the closed list, or does not take these arrays.
        """
        return self._run(part, values, self._exact)

    def magnitude(self, part: Slice, values: Mapping[ir.Value, Array]) -> Array:
        """The sum of the absolute values of all terms of the slice's target.

        That is what its rounding errors are measured against.
        """
        absolute = {v: np.abs(a) if a.dtype.kind == "f" else a for v, a in values.items()}
        return self._run(part, absolute, self._absolute)

    def _run(
        self,
        part: Slice,
        values: Mapping[ir.Value, Array],
        evaluate: Callable[[ir.Node, list[Array | None]], list[Array]],
    ) -> Array:
        found, last = dict(values), last_readers(part.nodes)
        for node in part.nodes:
            inputs = [None if v is None else found[v] for v in node.inputs]
            with np.errstate(all="ignore"):
                outputs = evaluate(node, inputs)
            drop_read(found, node, last)
            found.update(zip(node.outputs, outputs, strict=False))
        return found[part.target]

    def _exact(self, node: ir.Node, inputs: list[Array | None]) -> list[Array]:
        # A Cast to a narrower type rounds, which is not looked at; that both sides have it is.
        if node.op_type == "Cast" and is_floating(ir.DataType(node.attributes["to"].as_int())):
            first = inputs[0]
            if first is not None and first.dtype.kind == "f":
                return [first]
        return evaluate_exact(node, inputs, self.opset)

    def _absolute(self, node: ir.Node, inputs: list[Array | None]) -> list[Array]:
        """The operator with every sign and every subtraction taken for a plus."""
        subtracted = operator_named(node.op_type).subtracts
        signed = [-a if i in subtracted and a is not None else a for i, a in enumerate(inputs)]
        outputs = self._exact(_without_signs(node), signed)
        return [np.abs(out) if out.dtype.kind == "f" else out for out in outputs]


def _without_signs(node: ir.Node) -> ir.Node:
    """The same operator with the absolute values of its factors, as Gemm has them."""
    factors = {n: a.value for n, a in node.attributes.items() if isinstance(a.value, float)}
    negative = {name: -factor for name, factor in factors.items() if factor < 0}
    if not negative:
        return node
    inputs = [None if v is None else ir.Value(name=v.name) for v in node.inputs]
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    return ir.node(node.op_type, inputs, attributes | negative)
