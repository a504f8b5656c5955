"""Constants in float64, unrounded, whole or in parts that fit a processor's cache.

A weight is large, and float64 copies of it are twice as large: computing one whole costs several
times what computing it part by part does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from types import EllipsisType

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.constants import Constants, rounded
from un_deploy.graph.analysis.floating import widen

Array = np.ndarray
Part = tuple[slice | EllipsisType, ...]
"""An index: slices of the first axes, or all there is."""

EVERY = slice(None)
WHOLE: Part = (...,)

#: Entries of a part.
_ENTRIES = 1 << 16

#: Columns of a part at least: fewer lie too far apart in memory.
_COLUMNS = 32


class Exact:
    """A constant in float64, computed whenever it is asked for; called, it gives all of it.

    Attributes:
        shape: of the constant.
        read: gives a function that computes any part of it. What that reads from is held in
            memory as long as the function is.
        shrinks: each entry is at least this much of the one that it was made of; 0: unknown.
    """

    def __init__(
        self,
        read: Callable[[], Callable[[Part], Array]],
        shape: tuple[int, ...],
        largest: Callable[[], float] | None = None,
        shrinks: float = 0.0,
    ) -> None:
        """`largest` computes a bound of all absolute values; None: only the values tell."""
        self.read = read
        self.shape = shape
        self.shrinks = shrinks
        self._largest = largest

    @staticmethod
    def of(value: ir.Value, constants: Constants) -> Exact:
        """A constant of a model, whatever becomes of the graph."""
        exact = constants.exact(value)
        if isinstance(exact, Exact):
            return exact
        if value.producer() is None and value.const_value is not None:
            return Exact.stored(value)
        return Exact.held(exact())

    @staticmethod
    def held(array: Array) -> Exact:
        """An array that there is."""
        return Exact(lambda: _widened(array), array.shape, lambda: _largest(array))

    @staticmethod
    def stored(value: ir.Value) -> Exact:
        """An initializer as the file holds it."""
        tensor = value.const_value
        assert tensor is not None
        shape = tuple(int(size) for size in tensor.shape.numpy())
        return Exact(lambda: _widened(tensor.numpy()), shape, lambda: _largest(tensor.numpy()))

    @staticmethod
    def whole(compute: Callable[[], Array], shape: tuple[int, ...]) -> Exact:
        """What can only be computed as a whole: computed once, and kept."""
        found: list[Array] = []

        def read() -> Callable[[Part], Array]:
            if not found:
                found.append(compute())
            return found[0].__getitem__

        return Exact(read, shape)

    def __call__(self) -> Array:
        read, (first, *others) = self.read(), self.parts()
        if not others:
            return read(first)
        array = _allocated(self.shape, np.dtype(np.float64))
        for part in (first, *others):
            array[part] = read(part)
        return array

    def scaled(self, factor: Array, divisor: Array) -> Exact:
        """self * factor / divisor; both have its rank, and size 1 where they broadcast."""

        def read() -> Callable[[Part], Array]:
            old = self.read()
            return lambda part: old(part) * _cut(factor, part) / _cut(divisor, part)

        def largest() -> float:
            with np.errstate(all="ignore"):
                return self.largest * np.max(np.abs(factor)) / np.min(np.abs(divisor))

        with np.errstate(all="ignore"):
            shrinks = float(np.min(np.abs(factor)) / np.max(np.abs(divisor)))
        return Exact(read, self.shape, largest, shrinks)

    def through(self, gauge: Gauge) -> Exact:
        """The constant in its new variable; the gauge has its rank."""
        if not gauge.is_finite:
            return Exact.whole(lambda: gauge.new_of(self()), self.shape)
        shift, scale = gauge.shift, gauge.scale

        def read() -> Callable[[Part], Array]:
            old = self.read()
            return lambda part: (old(part) - _cut(shift, part)) / _cut(scale, part)

        def largest() -> float:
            with np.errstate(all="ignore"):
                return (self.largest + np.max(np.abs(shift))) / np.min(np.abs(scale))

        return Exact(read, self.shape, largest)

    def times(self, vector: Array, *, transposed: bool = False) -> Array:
        """vector @ matrix, or vector @ matrix.T."""
        read = self.read()
        if transposed:
            return np.concatenate([vector @ read(part).T for part in self.parts()])
        rows, columns = self.shape
        step = max(_COLUMNS, _ENTRIES // rows)
        starts = range(0, columns, step)
        return np.concatenate([vector @ read((EVERY, slice(at, at + step))) for at in starts])

    def parts(self) -> Iterator[Part]:
        """Parts of some rows each, which together are all of it."""
        size = int(np.prod(self.shape))
        if size <= _ENTRIES:
            yield WHOLE
            return
        step = max(1, _ENTRIES // (size // self.shape[0]))
        for start in range(0, self.shape[0], step):
            yield (slice(start, start + step),)

    @cached_property
    def largest(self) -> float:
        """A bound of the absolute values, that of a stored constant exactly; infinite: unknown."""
        return float("inf") if self._largest is None else float(self._largest())

    def fits(self, dtype: ir.DataType) -> bool:
        """Whether all entries are finite in this type. Bounds decide it where they can."""
        if np.isfinite(rounded(np.array(self.largest), dtype)):
            return True
        read = self.read()
        return all(np.all(np.isfinite(rounded(read(part), dtype))) for part in self.parts())


def store(value: ir.Value, exact: Exact, before: Exact | None) -> float | None:
    """Let an initializer hold the rounded values, in one pass.

    Returns:
        max |new - old| / max |old|, unrounded; None where there was no old one, or it was zero.
    """
    assert value.dtype is not None
    array = _allocated(exact.shape, value.dtype.numpy())
    read, read_before = exact.read(), None if before is None else before.read()
    whole = before is not None and before.shape != exact.shape
    differences = []
    for part in [WHOLE] if whole else exact.parts():
        new = read(part)
        array[part] = rounded(new, value.dtype)
        if read_before is not None:
            with np.errstate(invalid="ignore"):  # what marks places may be infinite
                gap = np.abs(new - read_before(part))
            differences.append(np.max(gap, initial=0, where=np.isfinite(gap)))
    value.const_value = ir.Tensor(array, dtype=value.dtype, name=value.name)
    if before is None or before.largest == 0 or not np.isfinite(before.largest):
        return None
    return float(np.max(differences) / before.largest)


def _allocated(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Zeros. numpy would ask for huge pages: slow to get where cached files fill the memory."""
    return np.ndarray(shape, dtype, bytearray(int(np.prod(shape)) * dtype.itemsize))


def _widened(array: Array) -> Callable[[Part], Array]:
    return lambda part: widen(array[part])


def _cut(array: Array, part: Part) -> Array:
    """What broadcasts against a part, of an array that broadcasts against the whole."""
    if part == WHOLE:
        return array
    places = zip(part, array.shape, strict=False)
    return array[tuple(EVERY if size == 1 else place for place, size in places)]


def _largest(array: Array) -> float:
    """The largest absolute value of a floating array; NaN or infinite where an entry is."""
    if array.dtype.itemsize == 2:  # numpy compares half types one at a time: their bits, at once
        bits = np.max(array.view(np.uint16) & 0x7FFF, initial=0)
        return float(np.uint16(bits).view(array.dtype))
    return float(np.maximum(np.max(array, initial=0), -np.min(array, initial=0)))
