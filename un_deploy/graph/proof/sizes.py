"""Numbers for the dimensions of a graph: how large the tensors of a region are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import onnx_ir as ir
import sympy

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import Dim, Shape, symbol
from un_deploy.graph.analysis.evaluators import Unknown, evaluate_exact
from un_deploy.graph.analysis.shapes import Shapes

Array = np.ndarray


#: Shape tensors and what they are made of have no more entries than this.
_LARGEST = 1 << 16


class NoSizeError(Exception):
    """A dimension has no size, or no sensible one, under this choice."""


@dataclass
class Sizes:
    """One choice of sizes for what a graph leaves open.

    Attributes:
        model, shapes, constants: of the original.
        first, others: what open dimensions are, as a tensor's first axis and as another; from
            there on each has a size of its own, so that no two are taken for one.
        cut: static sizes and the smaller ones to take in their place.
        bound: the sizes of some open dimensions, by the order in which they are met.
        empty: whether a static size of zero was met, so that there is nothing to compare.
    """

    model: ir.Model
    shapes: Shapes
    constants: Constants
    first: int
    others: int
    cut: Mapping[int, int]
    bound: Mapping[int, int]
    empty: bool = False
    _chosen: dict[object, int] = field(default_factory=dict)
    _integers: dict[ir.Value, Array | None] = field(default_factory=dict)

    @property
    def opened(self) -> int:
        """How many dimensions were open, so that another choice gives other shapes."""
        return len(self._chosen)

    def shape(self, value: ir.Value, told: Sequence[int] = ()) -> tuple[int, ...]:
        """The sizes of an original tensor.

        Args:
            value: the tensor.
            told: its sizes, as far as it is known to have more than one place along an axis (1
                elsewhere): they bind what its shape leaves open.

        Raises:
            NoSizeError: its rank is unknown, or an open size would be zero or negative.
        """
        shape = self.shapes.of(value)
        if shape is None:
            shape = _declared(value)
        if shape is None and told:
            shape = (None,) * len(told)
        if shape is None:
            raise NoSizeError(f"the shape of {value.name!r} is unknown")
        for axis, (dim, size) in enumerate(zip(shape, told, strict=False)):
            if size != 1 and not isinstance(dim, int):
                self._chosen.setdefault((value.name, axis) if dim is None else dim, size)
        return tuple(self._size(dim, value, axis) for axis, dim in enumerate(shape))

    def fixed(self, value: ir.Value) -> int:
        """The product of an original tensor's static sizes, as they are cut; 1 for none."""
        dims = (dim for dim in self.shapes.of(value) or () if isinstance(dim, int))
        return math.prod(self.cut.get(dim, dim) for dim in dims)

    def multiple(self, value: ir.Value) -> int:
        """The product of its open sizes where what is open is 1: 64 for 64 windows an image."""
        open_ = (dim for dim in self.shapes.of(value) or () if isinstance(dim, sympy.Expr))
        ones = (dim.xreplace(dict.fromkeys(dim.free_symbols, sympy.Integer(1))) for dim in open_)
        return math.prod(int(size) for size in ones if size.is_Integer and size > 0)

    def integers(self, value: ir.Value) -> Array | None:
        """What an integer tensor holds, where it follows from constants and shapes alone."""
        pending = [value]
        while pending:
            current = pending[-1]
            if current in self._integers:
                pending.pop()
                continue
            if current in self.constants:
                self._integers[current] = self._small(current)
                continue
            node = current.producer()
            if node is None or node.domain or node.graph is not self.model.graph:
                self._integers[current] = None
            elif node.op_type in ("Shape", "Size"):
                self._integers[current] = self._of_shape(node)
            else:
                missing = [v for v in node.inputs if v is not None and v not in self._integers]
                if missing:
                    pending += missing
                    continue
                self._compute(node, current)
        return self._integers[value]

    def _small(self, constant: ir.Value) -> Array | None:
        """A constant, unless it is a table: no shape follows from one."""
        shape = self.shapes.of(constant)
        sizes = [size for size in shape or () if isinstance(size, int)]
        if shape is None or len(sizes) < len(shape) or math.prod(sizes) > _LARGEST:
            return None
        return self.constants[constant]

    def _compute(self, node: ir.Node, value: ir.Value) -> None:
        inputs = [None if v is None else self._integers[v] for v in node.inputs]
        unknown = any(a is None and v is not None for a, v in zip(inputs, node.inputs, strict=True))
        outputs: list[Array] | None = None
        if not unknown:
            try:
                opset = self.model.opset_imports.get("", 0)
                outputs = evaluate_exact(node, inputs, opset, 8 * _LARGEST)
            except Unknown:
                outputs = None
        for index, output in enumerate(node.outputs):
            self._integers[output] = outputs[index] if outputs and index < len(outputs) else None
        self._integers.setdefault(value, None)

    def _of_shape(self, node: ir.Node) -> Array | None:
        source = node.inputs[0]
        assert source is not None
        if self.shapes.of(source) is None:
            return None  # what a file says of a shape is no ground to stand on
        try:
            shape = np.array(self.shape(source), dtype=np.int64)
        except NoSizeError:
            return None
        if node.op_type == "Size":
            return np.asarray(np.prod(shape))
        end = node.attributes.get_int("end", len(shape))
        return shape[node.attributes.get_int("start", 0) : end]

    def _size(self, dim: Dim, value: ir.Value, axis: int) -> int:
        if isinstance(dim, int):
            self.empty |= dim == 0
            return self.cut.get(dim, dim)
        if dim is None:
            size = self._choice((value.name, axis), axis)
        else:
            size = self._of_expression(dim, axis)
        if size < 1:
            raise NoSizeError(f"a size of {value.name!r} would be {size}")
        return size

    def _of_expression(self, dim: sympy.Expr, axis: int) -> int:
        if dim.is_Symbol or dim in self._chosen:
            return self._choice(dim, axis)
        symbols = sorted(dim.free_symbols, key=str)
        found = dim.xreplace({s: sympy.Integer(self._choice(s, 1)) for s in symbols})
        if not found.is_Integer:
            raise NoSizeError(f"{dim} is no whole number")
        return int(found)

    def _choice(self, key: object, axis: int) -> int:
        if key not in self._chosen:
            met = len(self._chosen)
            about = self.first if axis == 0 else self.others
            # Long ones are multiples of 16, as patches and strides need them.
            step = met if about < 16 else 16 * (met % 3)
            self._chosen[key] = self.bound.get(met, about + step)
        return self._chosen[key]


def merged(wholes: Iterable[int], opened: int, stride: int) -> Iterator[Mapping[int, int]]:
    """Sizes for one or two open dimensions whose product is one of these, the squares first.

    Args:
        wholes: what a Reshape may merge two axes into, such as the 36 places of 6 by 6.
        opened: how many dimensions are open.
        stride: how many times as long they may have to be, in front of windows.
    """
    pairs = [(one, n // one) for n in wholes for one in sympy.divisors(n)[1:-1]]
    for one, other in sorted(pairs, key=lambda pair: abs(pair[0] - pair[1])):
        for step in sorted({1, stride}):
            if one == other:
                yield from ({which: one * step} for which in range(opened))
            for first, second in combinations(range(opened), 2):
                yield {first: one * step, second: other * step}


def _declared(value: ir.Value) -> Shape | None:
    """What the file says of a shape that is not inferred: good enough to draw numbers by."""
    shape, node = value.shape, value.producer()
    if shape is None and node is not None and node.op_type == "If":
        shape = node.attributes["then_branch"].as_graph().outputs[value.index() or 0].shape
    if shape is None:
        return None
    return tuple(
        symbol(dim.value) if isinstance(dim, ir.SymbolicDim) and dim.value else _number(dim)
        for dim in shape.dims
    )


def _number(dim: int | ir.SymbolicDim) -> int | None:
    return dim if isinstance(dim, int) and dim >= 0 else None
