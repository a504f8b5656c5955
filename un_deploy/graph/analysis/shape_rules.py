"""Infers shapes, operator by operator, where onnx-shape-inference leaves them open or guesses.

The package follows the numbers inside shape tensors ("symbolic values") through Shape, Gather,
Concat and arithmetic. Four things are missing for a rewriter that may not guess:

* ``expand(-1)`` and ``zeros_like`` as TorchScript writes them, ConstantOfShape, Mul, Equal and
  Where on shape tensors, lose their values;
* two different symbolic sizes are broadcast to the first one, a constant slice of a symbolic axis
  is taken to lie inside it, a Squeeze without axes to meet no symbolic axis of size 1, a Split
  into parts of unknown sizes to halve;
* numbers that are all known lose their values where another operator, or a table, stands between,
  as in the widths that TorchScript computes for a Pad;
* a number computed at run time may be -1, which a Reshape does not take for a size.

Numbers are kept only where every step is exact: no detour through floating point, no Cast to a type
that does not hold them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
import onnx_ir as ir
import sympy
from onnx_shape_inference import ShapeInferenceContext

from un_deploy.graph.analysis.bounded_context import MOST_NUMBERS, BoundedContext
from un_deploy.graph.analysis.evaluators.selection import bounds
from un_deploy.graph.analysis.known_numbers import KnownNumbers
from un_deploy.graph.analysis.rounded_sizes import ROUNDED
from un_deploy.graph.analysis.side_dims import (
    SideDim,
    aligned,
    broadcast_sizes,
    expression,
    quotient,
    side_dim,
)

BROADCASTING = frozenset(
    (
        *("Add", "BitShift", "Div", "Expand", "Max", "Mean", "Min", "Mod", "Mul", "Pow", "Sub"),
        *("And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Or", "Sum", "Where", "Xor"),
        *("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    )
)
#: Ends by which a Slice means the last element, whatever the size.
_TO_THE_END = (2**31 - 1, 2**63 - 1)


class Corrections:
    """Runs the package's rule of each node and puts right what it guessed or left open."""

    def __init__(self, context: BoundedContext) -> None:
        self.context = context
        self.known = KnownNumbers(context)
        # Sizes seen on tensors, as against numbers computed from them: these are never negative.
        self.sizes: set[sympy.Expr] = set()
        self.instead: dict[str, Callable[[ir.Node], None]] = {
            "Cast": self._cast,
            "Where": self._where,
        }
        self.after: dict[str, Callable[[ir.Node], None]] = {
            "ConstantOfShape": self._constant_of_shape,
            "Div": self._divide,
            "Equal": self._equal,
            "Reshape": self._reshape,
            "Slice": self._slice,
            "Split": self._split,
            "Squeeze": self._squeeze,
            "Unique": self._unique,
            **{op: partial(correct, context) for op, correct in ROUNDED.items()},
        }

    def infer(
        self, node: ir.Node, rule: Callable[[ShapeInferenceContext, ir.Node], None] | None
    ) -> None:
        """Give the node's outputs their shapes and, for shape tensors, their values."""
        standard = node.domain in ("", "ai.onnx")
        if standard and node.op_type in self.instead:
            self.instead[node.op_type](node)
        elif rule is not None and not (standard and self.context.joins_many(node)):
            rule(self.context, node)
        x = node.inputs[0] if node.inputs else None
        if x is not None and (node.domain, node.op_type) == ("ai.onnx.ml", "Scaler"):
            node.outputs[0].shape, node.outputs[0].dtype = x.shape, ir.DataType.FLOAT
        if standard and node.op_type in BROADCASTING:
            self._broadcast(node)
        if standard and node.op_type in self.after:
            self.after[node.op_type](node)
        self._check_counts(node.outputs)
        self._evaluate(node)
        self.context.bound(node.outputs)
        self.note_sizes(node.outputs)

    def _evaluate(self, node: ir.Node) -> None:
        """Compute numbers from known ones, where the package has lost them."""
        numbers = self.known.computed(node)
        if numbers is not None:
            self._state(node, numbers)

    def _check_counts(self, values: Iterable[ir.Value]) -> None:
        """Forget numbers that are not as many as the tensor has: a table was taken for a row."""
        for value in values:
            numbers = self.context.get_symbolic_value(value)
            if numbers is None or value.shape is None or not value.shape.is_static():
                continue
            if len(numbers) != math.prod(value.shape.numpy()):
                self.context.forget_symbolic_value(value)

    def note_sizes(self, values: Iterable[ir.Value]) -> None:
        """Remember the sizes of these tensors."""
        for value in values:
            if value.shape is not None:
                self.sizes.update(expression(dim) for dim in value.shape.dims)

    def _is_size(self, number: SideDim) -> bool:
        """Whether a number in a shape tensor is certainly not negative."""
        value = expression(number)
        return value in self.sizes or bool(
            value.is_nonnegative and value.free_symbols <= self.sizes
        )

    def _values(self, node: ir.Node, index: int) -> Sequence[SideDim] | None:
        value = node.inputs[index] if index < len(node.inputs) else None
        return None if value is None else self.context.get_symbolic_value(value)

    def _state(self, node: ir.Node, values: Sequence[SideDim] | None) -> None:
        if values is not None:
            node.outputs[0].const_value = None  # what the package's own rule may have stated
            self.context.set_symbolic_value(node.outputs[0], list(values))

    def _fresh(self, count: int) -> ir.Shape:
        return ir.Shape([self.context.new_symbolic_dim() for _ in range(count)])

    def _broadcast(self, node: ir.Node) -> None:
        """Sizes that broadcast are equal or 1, so the greater is the result's."""
        shapes: list[ir.Shape | None] = [v.shape for v in node.inputs if v is not None]
        if node.op_type == "Expand":
            target = self._values(node, 1)
            shapes[1] = None if target is None else ir.Shape(target)
        known = [shape for shape in shapes if shape is not None]
        if len(known) < len(shapes):
            node.outputs[0].shape = None
            return
        rank = max(len(shape) for shape in known)
        columns = zip(*((*(1,) * (rank - len(s)), *s.dims) for s in known), strict=True)
        sizes = (broadcast_sizes(column) for column in columns)
        dims = [self.context.new_symbolic_dim() if size is None else size for size in sizes]
        node.outputs[0].shape = ir.Shape(dims)

    def _cast(self, node: ir.Node) -> None:
        """Only between integers does every number keep its value, also through a division."""
        source, result = node.inputs[0], node.outputs[0]
        target = ir.DataType(node.attributes["to"].as_int())
        assert source is not None
        result.shape, result.type = source.shape, ir.TensorType(target)
        numbers = self._values(node, 0)
        if source.dtype is None or not source.dtype.is_integer() or numbers is None:
            return
        if target in (ir.DataType.INT32, ir.DataType.INT64):
            bounds = np.iinfo(target.numpy())
            if all(not isinstance(n, int) or bounds.min <= n <= bounds.max for n in numbers):
                self._state(node, numbers)

    def _where(self, node: ir.Node) -> None:
        condition, yes, no = (self._values(node, index) for index in range(3))
        branch = node.inputs[1]
        assert branch is not None
        node.outputs[0].type = branch.type
        self._broadcast(node)  # a symbolic value is kept with a tensor of known shape
        if condition is None or yes is None or no is None:
            return
        rows = aligned(condition, yes, no)
        if rows is not None and all(isinstance(chosen, int) for chosen, _, _ in rows):
            self._state(node, [a if chosen else b for chosen, a, b in rows])

    def _equal(self, node: ir.Node) -> None:
        left, right = self._values(node, 0), self._values(node, 1)
        if left is None or right is None or (rows := aligned(left, right)) is None:
            return
        answers = [self._equal_numbers(a, b) for a, b in rows]
        if None not in answers:
            self._state(node, [int(bool(answer)) for answer in answers])

    def _equal_numbers(self, a: SideDim, b: SideDim) -> bool | None:
        difference = sympy.expand(expression(a) - expression(b))
        if difference.is_Integer:
            return bool(difference == 0)
        for size, number in ((a, b), (b, a)):
            if isinstance(number, int) and number < 0 and self._is_size(size):
                return False
        return None

    def _divide(self, node: ir.Node) -> None:
        """Integer division truncates, which is floor for sizes."""
        above, below = self._values(node, 0), self._values(node, 1)
        if above is None or below is None or (rows := aligned(above, below)) is None:
            return
        if all(self._is_size(a) and isinstance(b, int) and b > 0 for a, b in rows):
            self._state(
                node, [side_dim(sympy.floor(expression(a) / expression(b))) for a, b in rows]
            )

    def _constant_of_shape(self, node: ir.Node) -> None:
        dims = self._values(node, 0)
        if dims is None:
            return
        node.outputs[0].shape = ir.Shape(dims)
        fill, count = node.attributes.get("value"), dims[0] if dims else 1
        if fill is None or len(dims) > 1 or not isinstance(count, int):
            return
        value = fill.as_tensor().numpy().item()
        if isinstance(value, int) and count <= MOST_NUMBERS:
            self._state(node, [value] * count)

    def _reshape(self, node: ir.Node) -> None:
        """A number that may be -1 or 0 says nothing; and -1 itself divides without remainder."""
        source, result, target = node.inputs[0], node.outputs[0], self._values(node, 1)
        if target is None or result.shape is None or source is None:
            return
        dims = list(result.shape.dims)
        copies = node.attributes.get_int("allowzero", 0) == 0
        doubtful = [not isinstance(t, int) and not self._is_size(t) for t in target]
        for axis, number in enumerate(target):
            if doubtful[axis] or (number == -1 and any(doubtful)):
                dims[axis] = self.context.new_symbolic_dim()
            elif number == -1 and source.shape is not None:
                others = [dims[i] for i in range(len(dims)) if i != axis]
                if copies or 0 not in target:
                    dims[axis] = quotient(source.shape.dims, others)
        result.shape = ir.Shape(dims)

    def _slice(self, node: ir.Node) -> None:
        source, result = node.inputs[0], node.outputs[0]
        if source is None or source.shape is None or result.shape is None:
            return
        rank = len(source.shape)
        starts, ends = self._values(node, 1), self._values(node, 2)
        axes = self._optional(node, 3, range(len(starts or ())))
        steps = self._optional(node, 4, [1] * len(starts or ()))
        if starts is None or ends is None or axes is None or steps is None:
            result.shape = self._fresh(rank)
            return
        dims = list(result.shape.dims)
        numbers = self._values(node, 0)
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            axis = int(expression(axis)) % rank
            size = source.shape.dims[axis]
            known = [number for number in (start, end, step, size) if isinstance(number, int)]
            if len(known) == 4:
                cut = bounds(*known)
                dims[axis] = len(range(known[3])[cut])
                numbers = None if numbers is None or rank > 1 else numbers[cut]
                continue
            numbers = None
            as_it_is = (end < 0 or end in _TO_THE_END) if isinstance(end, int) else None
            if self._is_size(end) if as_it_is is None else as_it_is:
                continue
            if isinstance(end, int) and isinstance(start, int) and start >= 0 and step == 1:
                whole = expression(size)
                reach = whole if end > _TO_THE_END[0] else sympy.Min(whole, end)
                dims[axis] = side_dim(sympy.Max(0, reach - start))
            else:
                dims[axis] = self.context.new_symbolic_dim()
        result.shape = ir.Shape(dims)
        self._state(node, numbers)

    def _optional(
        self, node: ir.Node, index: int, default: Sequence[SideDim]
    ) -> Sequence[SideDim] | None:
        absent = index >= len(node.inputs) or node.inputs[index] is None
        return default if absent else self._values(node, index)

    def _squeeze(self, node: ir.Node) -> None:
        source = node.inputs[0]
        stated = "axes" in node.attributes or self._values(node, 1) is not None
        if stated or source is None or source.shape is None:
            return
        unreadable = len(node.inputs) > 1 and node.inputs[1] is not None
        if unreadable or not source.shape.is_static():
            node.outputs[0].shape = None

    def _split(self, node: ir.Node) -> None:
        """Parts whose sizes are known at run time only are not halves."""
        stated = len(node.inputs) > 1 and node.inputs[1] is not None
        if not stated or self._values(node, 1) is not None:
            return
        for value in node.outputs:
            if value.shape is not None:
                dims = list(value.shape.dims)
                dims[node.attributes.get_int("axis", 0)] = self.context.new_symbolic_dim()
                value.shape = ir.Shape(dims)

    def _unique(self, node: ir.Node) -> None:
        """Along an axis the result keeps its rank."""
        if "axis" in node.attributes:
            node.outputs[0].shape = None
