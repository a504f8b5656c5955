"""The values of constant sub-expressions, in float64 where that changes nothing but the rounding.

What the closed list of evaluators can compute from constants is one; nothing else is. A number that
only adds, multiplies, roots and moves have made is computed in float64. Where an operator compares,
or casts to another type, its inputs are computed as a runtime does, in their own types, operator by
operator: 10 times 0.7 is 7 in float32, and channel 7 is meant.

A weight that an edit has replaced is held exactly, not as the rounded initializer, so that a
second fold of the same weight starts from the unrounded value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluation_order import (
    drop_read,
    last_readers,
    near_their_readers,
    order_of,
)
from un_deploy.graph.analysis.evaluators import Unknown, evaluate, evaluate_exact, is_known
from un_deploy.graph.analysis.floating import is_floating, narrows, stored, widen

if TYPE_CHECKING:
    from un_deploy.graph.analysis.shapes import Shapes

Array = np.ndarray
Inputs = list[Array | None]

#: Values up to this many bytes are kept once computed, `LEAST_BYTES` in all; others are computed
#: again when asked for.
_KEEP = 1 << 20

#: What is computed may take this many bytes, held at once, or `_WIDER` times the bytes of the
#: largest weight where that is more: integers of 4 bits, widened, take 8 times theirs.
LEAST_BYTES = 1 << 28
_WIDER = 16

#: What is a constant was computed within these bytes in its own type.
_UNBOUNDED = 1 << 62

#: Types that weights are stored in to be small.
_QUANTISED = {ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT4, ir.DataType.UINT4}
_QUANTISED |= {ir.DataType.INT16, ir.DataType.UINT16}
_QUANTISED |= {ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E4M3FNUZ}
_QUANTISED |= {ir.DataType.FLOAT8E5M2, ir.DataType.FLOAT8E5M2FNUZ}


class Constants:
    """Which values of a model's main graph are constant, and what they are.

    A graph input with a default (an overridable initializer) is not constant. Neither is what
    cannot be computed, comes out in another shape than the inferred one, or would take more memory
    than the graph's weights account for.

    Args:
        model: every constant in it is computed once, so that what is called constant can be had.
        shapes: of its tensors, where they are known; what is computed is held against them.
        from_sizes: numbers that operators read from fixed sizes are constant.
    """

    def __init__(
        self, model: ir.Model, shapes: Shapes | None = None, *, from_sizes: bool = False
    ) -> None:
        self._opset = model.opset_imports.get("", 0)
        self._types: dict[ir.Value, ir.DataType] = {}  # of every computed constant
        self._own: dict[ir.Value, Array] = {}  # small computed ones, in their own types
        self._values: dict[ir.Value, Array] = {}
        self._exact: dict[ir.Value, Callable[[], Array]] = {}
        self._most = _most_bytes(model.graph)
        self._kept = 0  # bytes in `_own` and `_values`
        self._sized = shapes.numbers if shapes is not None and from_sizes else {}
        self._find(model.graph, shapes)

    def __contains__(self, value: ir.Value | None) -> bool:
        if value is None or value.is_graph_input():
            return False
        if value.producer() is None:
            return value.const_value is not None
        return value in self._types

    def __getitem__(self, value: ir.Value) -> Array:
        """The value: float64 where floating, else as stored.

        Raises:
            KeyError: the value is not constant.
        """
        if value not in self:
            raise KeyError(value.name)
        array = self._values.get(value)
        if array is None:
            array = self._compute(value)
            if self._keeps(array):
                self._values[value] = array
        return array

    def replaced(self, value: ir.Value, exact: Callable[[], Array]) -> None:
        """Remember the unrounded float64 value of an initializer that an edit has made."""
        self._values.pop(value, None)
        self._exact[value] = exact

    def exact(self, value: ir.Value) -> Callable[[], Array]:
        """A function that computes the unrounded float64 value, whatever becomes of the graph."""
        if value in self._exact:
            return self._exact[value]
        tensor = value.const_value
        if value.producer() is None and tensor is not None:
            return lambda: widen(tensor.numpy())
        array = self[value]
        return lambda: array

    def dtype(self, value: ir.Value) -> ir.DataType:
        """The type that a constant has in the graph."""
        if value in self._types:
            return self._types[value]
        if value.dtype is not None:
            return value.dtype
        return ir.DataType.UNDEFINED if value.const_value is None else value.const_value.dtype

    def is_quantised(self, value: ir.Value) -> bool:
        """Whether a constant is computed from a tensor of a type that makes weights small."""
        producer = None if self._is_sized(value) else value.producer()
        nodes = [] if producer is None else order_of([producer], self._is_sized)
        read = (value, *(v for node in nodes for v in node.inputs if v is not None))
        tensors = [v.const_value for v in read if v.producer() is None]
        small = any(t is not None and t.size > 1 and t.dtype in _QUANTISED for t in tensors)
        # A quantised bias is of int32, as a list of indices may be.
        told = any(node.op_type == "DequantizeLinear" for node in nodes)
        return small or (told and any(t is not None and t.size > 1 for t in tensors))

    def _is_sized(self, value: ir.Value) -> bool:
        return value.name in self._sized

    def _find(self, graph: ir.Graph, shapes: Shapes | None) -> None:
        """Compute every constant once in its own type; the large ones are dropped when read."""
        for value in (v for node in graph for v in node.outputs if self._is_sized(v)):
            array = self._sized[str(value.name)]
            self._types[value] = ir.DataType.from_numpy(array.dtype)
            self._own[value] = self._values[value] = array
        nodes = near_their_readers(self._candidates(graph, shapes))
        last = last_readers(nodes)
        held: dict[ir.Value, Array] = {}
        for node in nodes:
            arrays = self._computed(node, held)
            fitting = zip(node.outputs, arrays, strict=False)
            if all(_fits(array, value, shapes) for value, array in fitting):
                for value, array in zip(node.outputs, arrays, strict=False):
                    self._types[value] = ir.DataType.from_numpy(array.dtype)
                    if self._keeps(array):
                        self._own[value] = array.copy()  # it may be a view of a large one
                    elif value in last:
                        held[value] = array
            drop_read(held, node, last)

    def _keeps(self, array: Array) -> bool:
        """Whether a result is small enough to be kept, beside those that are already."""
        keeps = array.nbytes <= _KEEP and self._kept + array.nbytes <= LEAST_BYTES
        self._kept += array.nbytes if keeps else 0
        return keeps

    def _computed(self, node: ir.Node, held: Mapping[ir.Value, Array]) -> list[Array]:
        """Its outputs in their own types; none where they cannot be told."""
        if not all(v is None or v in self for v in node.inputs):
            return []
        inputs = [None if v is None else self._read(v, self._own, held) for v in node.inputs]
        left = self._most - sum(array.nbytes for array in held.values())
        try:
            return evaluate(node, inputs, self._opset, left)
        except Unknown:
            return []

    def _candidates(self, graph: ir.Graph, shapes: Shapes | None) -> list[ir.Node]:
        """The operators that compute nothing but constants, as far as one can see without doing it.

        A Dropout in training may drop something. What is computed from sizes counts up to where it
        is rounded: a proof, which reads sizes anew, tells such a Cast from one that is gone.
        """
        made: set[ir.Value] = set()
        of_sizes = {v for v in self._types if self._is_sized(v)}
        found = []
        for node in graph:  # in topological order
            if not is_known(node, self._opset) or node.op_type == "Dropout":
                continue
            if node.outputs[0] in self._types:
                continue  # of sizes
            if node.op_type == "Gather" and self._looks_up(node):
                continue
            if all(v is None or v in made or v in self for v in node.inputs):
                if shapes and not of_sizes.isdisjoint(v for v in node.inputs if v is not None):
                    if narrows(node, shapes.dtype):
                        continue
                    of_sizes.update(node.outputs)
                made.update(node.outputs)
                found.append(node)
        return found

    @staticmethod
    def _looks_up(node: ir.Node) -> bool:
        """Whether this picks rows of a stored table, as an embedding of fixed positions does.

        It counts as computed, so that the table takes a gauge and the lookup stays one.
        """
        table, rows = (None if v is None else v.const_value for v in node.inputs[:2])
        if table is None or rows is None:
            return False
        return is_floating(table.dtype) and len(table.shape) > 1 and len(rows.shape) > 0

    def _compute(self, value: ir.Value) -> Array:
        if value in self._exact:
            return self._exact[value]()
        if value.producer() is None:
            return stored(value)
        return self._run(value, self._values, self._exactly)

    def _exactly(self, node: ir.Node, inputs: Inputs) -> list[Array]:
        outputs = self._unrounded(node, inputs)
        for value, array in zip(node.outputs, outputs, strict=False):
            if self._keeps(array):
                self._values[value] = array
        return outputs

    def _unrounded(self, node: ir.Node, inputs: Inputs) -> list[Array]:
        if node.op_type != "Cast":  # where a type ends, what was rounded to it stays so
            with suppress(Unknown):
                return evaluate_exact(node, inputs, self._opset, _UNBOUNDED)
        own = [None if v is None else self._as_computed(v) for v in node.inputs]
        return [widen(array) for array in self._evaluated(node, own)]

    def _as_computed(self, value: ir.Value) -> Array:
        """A constant in its own type, every operator on the way rounded."""
        if value.producer() is None or value in self._own:
            return self._read(value, self._own, {})
        return self._run(value, self._own, self._evaluated)

    def _evaluated(self, node: ir.Node, inputs: Inputs) -> list[Array]:
        return evaluate(node, inputs, self._opset, _UNBOUNDED)

    def _run(
        self,
        value: ir.Value,
        kept: Mapping[ir.Value, Array],
        compute: Callable[[ir.Node, Inputs], list[Array]],
    ) -> Array:
        """A value from what is kept; every other result is dropped after its last reader."""
        producer = value.producer()
        assert producer is not None
        nodes = order_of([producer], lambda v: v in kept)
        last = last_readers(nodes)
        held: dict[ir.Value, Array] = {}
        for node in nodes:
            inputs = [None if v is None else self._read(v, kept, held) for v in node.inputs]
            outputs = zip(node.outputs, compute(node, inputs), strict=False)
            held.update((v, array) for v, array in outputs if v is value or v in last)
            drop_read(held, node, last)
        return held[value]

    @staticmethod
    def _read(
        value: ir.Value, kept: Mapping[ir.Value, Array], held: Mapping[ir.Value, Array]
    ) -> Array:
        if value.producer() is None:
            assert value.const_value is not None
            return value.const_value.numpy()
        return held[value] if value in held else kept[value]


def _fits(array: Array, value: ir.Value, shapes: Shapes | None) -> bool:
    """Whether it has the inferred shape, as far as that is known."""
    shape = None if shapes is None else shapes.of(value)
    if shape is None:
        return True
    same = (size == dim for size, dim in zip(array.shape, shape, strict=False) if dim is not None)
    return array.ndim == len(shape) and all(same)


def _most_bytes(graph: ir.Graph) -> int:
    """What the computed constants of a graph may take, held at once."""
    weights = (value.const_value for value in graph.initializers.values())
    return max(LEAST_BYTES, _WIDER * max((w.nbytes for w in weights if w is not None), default=0))


def rounded(array: Array, dtype: ir.DataType) -> Array:
    """The array in the type it will be stored in (round to nearest, overflow to infinity)."""
    with np.errstate(over="ignore"):
        return array.astype(dtype.numpy())
