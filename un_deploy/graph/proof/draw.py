"""Numbers for the tensors that a region starts from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.region import Region
from un_deploy.graph.proof.sizes import NoSizeError, Sizes

Array = np.ndarray

#: A tensor of more entries is not drawn at open sizes, where smaller ones may be had, unless the
#: fixed ones are that many already but for this factor (open ones are 3 at least, two of them 18),
#: or, where open ones are multiples (64 windows an image), for this many of those; and none of more
#: than half a gigabyte in float64.
_MOST_ENTRIES = 1 << 20
_MOST_OPENED = 32
_MOST_MULTIPLES = 8
_MOST_FIXED = 1 << 26

#: How many rows of a table are looked up at once, where that is free.
_ROWS = 1024

#: How often whole numbers are drawn at least.
_WHOLE = 16

#: No seed that weights are drawn with: a tensor of the same numbers as a bias would cancel it.
_SEED = 220802345

#: Integers of no known use: enough to tell one from another.
_SOME = 5


class Draw:
    """Draws the leaves of one region at one choice of sizes; the same again for the same seed.

    Attributes:
        rounds: how many draws it takes: until every row of every table was looked up, and until
            whole numbers that are equal are not so by chance.
        drawn: the tensors whose numbers were drawn, as against those that are known.
    """

    def __init__(self, region: Region, sizes: Sizes, *, stretched: bool = False) -> None:
        """`stretched`: indices of a table have as many rows as it takes to be done soon."""
        self._region = region
        self._sizes = sizes
        self._stretched = stretched
        self._rng = np.random.default_rng(_SEED)
        self.rounds = 1
        self.drawn: set[ir.Value] = set()

    def leaf(self, value: ir.Value, old: ir.Value, turn: int) -> Array:
        """A new tensor's numbers.

        Args:
            value: the leaf of the folded graph.
            old: an original tensor that it stands for.
            turn: the number of this draw.

        Raises:
            NoSizeError: there is no size for it under this choice.
        """
        sizes = self._sizes
        if old in sizes.constants:
            return sizes.constants[old]
        dtype = sizes.shapes.dtype(old)
        whole = dtype is not None and (dtype.is_integer() or dtype == ir.DataType.BOOL)
        if whole and (known := sizes.integers(old)) is not None:
            return known
        self.drawn.add(value)
        if whole and (wanted := self._wanted(old, value)) is not None:
            return wanted
        shape = sizes.shape(old, self._told(value))
        if math.prod(shape) > self._most(old):
            raise NoSizeError(f"{old.name!r} would be too large: {shape}")
        if not whole:
            return self._floats(value, shape)
        if dtype == ir.DataType.BOOL:
            return self._whole(2, shape).astype(bool)
        return self._integers(value, old, shape, turn)

    def _most(self, old: ir.Value) -> int:
        """How many entries may be drawn."""
        if not self._sizes.opened:
            return _MOST_FIXED
        opened = max(_MOST_OPENED, _MOST_MULTIPLES * self._sizes.multiple(old))
        return min(max(_MOST_ENTRIES, opened * self._sizes.fixed(old)), _MOST_FIXED)

    def shape(self, value: ir.Value) -> Array:
        """The shape of an original tensor elsewhere.

        Raises:
            NoSizeError: it is unknown.
        """
        if (known := self._sizes.integers(value)) is None:
            raise NoSizeError(f"{value.name!r} is unknown")
        return known

    def _wanted(self, *tensors: ir.Value) -> Array | None:
        """Integers that come from data, as the shapes behind their readers want them."""
        found = (self._parameter(node, position) for node, position in self._uses(tensors))
        return next((array for array in found if array is not None), None)

    def _told(self, value: ir.Value) -> tuple[int, ...]:
        """The sizes that its gauges know."""
        gauges = [c.gauge for c in self._region.leaves[value] if c.gauge is not None]
        shapes = [array.shape for gauge in gauges for array in (gauge.scale, gauge.shift)]
        return np.broadcast_shapes(*shapes) if shapes else ()

    def _floats(self, value: ir.Value, shape: tuple[int, ...]) -> Array:
        """Standard normal in the new variables or in the original's, at random entry by entry.

        A channel that is tiny in one of them is not in the other.
        """
        array = self._rng.standard_normal(shape)
        for claim in self._region.leaves[value]:
            if claim.gauge is not None and not claim.shape_only:
                scale = np.abs(claim.gauge.scale)
                scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
                array = np.where(self._rng.integers(0, 2, shape) == 1, array / scale, array)
        return array

    def _integers(self, value: ir.Value, old: ir.Value, shape: tuple[int, ...], turn: int) -> Array:
        """In the range that its readers take; indices of a table run through all of its rows."""
        if (places := self._places((value, old), shape, turn)) is not None:
            return places
        rows = [r for tensor in (value, old) for r in self._rows(tensor)]
        count = math.prod(shape)
        if rows:
            least = min(rows)
            if self._stretched and shape and 0 < count < min(least, _ROWS):
                shape = (shape[0] * math.ceil(min(least, _ROWS) / count), *shape[1:])
                count = math.prod(shape)
            self.rounds = max(self.rounds, math.ceil(least / max(count, 1)))
            return np.minimum(np.arange(count) + turn * count, least - 1).reshape(shape)
        return self._whole(_SOME, shape)

    def _whole(self, end: int, shape: tuple[int, ...]) -> Array:
        self.rounds = max(self.rounds, _WHOLE)
        return self._rng.integers(0, end, shape)

    def _rows(self, tensor: ir.Value) -> Iterator[int]:
        for node, position in self._uses((tensor,)):
            if (
                node.op_type in ("Gather", "GatherElements")
                and position == 1
                and node.inputs[0] is not None
            ):
                shape = self._sizes.shape(node.inputs[0])
                yield shape[node.attributes.get_int("axis", 0) % len(shape)]

    def _places(
        self, tensors: Iterable[ir.Value], shape: tuple[int, ...], turn: int
    ) -> Array | None:
        """Indices that GatherND or GatherElements looks up: they run through all places."""
        for node, position in self._uses(tensors):
            table = node.inputs[0]
            if position != 1 or table is None:
                continue
            if node.op_type == "GatherND":
                batch = node.attributes.get_int("batch_dims", 0)
                sizes = self._sizes.shape(table)[batch : batch + shape[-1]]
                flat = np.arange(math.prod(shape[:-1]))
                flat = self._counted(flat, turn, math.prod(sizes), flat.size)
                return np.stack(np.unravel_index(flat, sizes), axis=-1).reshape(shape)
            if node.op_type == "GatherElements":
                axis = node.attributes.get_int("axis", 0) % len(shape)
                along = np.indices(shape)[axis]
                return self._counted(along, turn, self._sizes.shape(table)[axis], shape[axis])
        return None

    def _counted(self, array: Array, turn: int, places: int, step: int) -> Array:
        """Numbers below `step`, that of this turn, and no more than there are places."""
        self.rounds = max(self.rounds, math.ceil(places / max(step, 1)))
        return np.minimum(array + turn * step, places - 1).astype(np.int64)

    def _parameter(self, node: ir.Node, position: int) -> Array | None:
        """A target or a bound that is computed from data: that of the shape that is inferred."""
        if (node.op_type, position) in (("Reshape", 1), ("Expand", 1), ("Resize", 3)):
            return np.array(self._sizes.shape(node.outputs[0]), dtype=np.int64)
        if node.op_type == "Tile" and position == 1 and node.inputs[0] is not None:
            ends = self._sizes.shape(node.inputs[0]), self._sizes.shape(node.outputs[0])
            return np.array([max(1, new // old) for old, new in zip(*ends, strict=True)])
        if node.op_type == "Slice" and position in (1, 2, 4):
            target = self._sizes.shape(node.outputs[0])
            axes = node.inputs[3] if len(node.inputs) > 3 else None
            along = range(self._bounds(node)) if axes is None else self._sizes.integers(axes)
            if along is None:
                return None  # as behind a Constant of the folded graph; the original's are known
            sizes = [target[int(axis)] for axis in along]
            start, step = (np.full(len(sizes), number) for number in (0, 1))
            return {1: start, 2: np.array(sizes, dtype=np.int64), 4: step}[position]
        return None

    def _bounds(self, node: ir.Node) -> int:
        """How many axes a Slice cuts that names none: of one side as many as of the other."""
        shapes = [self._sizes.shapes.of(bound) for bound in node.inputs[1:3] if bound is not None]
        counts = [shape[0] for shape in shapes if shape and isinstance(shape[0], int)]
        return int(counts[0]) if counts else len(self._sizes.shape(node.outputs[0]))

    def _uses(self, tensors: Iterable[ir.Value]) -> Iterator[tuple[ir.Node, int]]:
        nodes = set(self._region.nodes)
        for tensor in tensors:
            yield from (use for use in tensor.uses() if use[0] in nodes)


def original_of(new: Array, claim: Claim) -> Array:
    """The original tensor's numbers, from those of the tensor that stands for it."""
    if claim.gauge is None or new.dtype.kind != "f":
        return new
    return claim.gauge.scale * new + claim.gauge.shift
