"""Affine maps y = scale * x + shift over some axes of a tensor: compose, invert, reshape.

Both arrays are float64, have the tensor's rank, and have size 1 along every axis on which they
are constant, so (1, 1, C) is "per channel, channel last". Scale and shift may vary over
different axes. A *gauge* is an affine read as a change of variables, old = G(new).

A channel whose scale is infinite is *lost*: new is the shift, whatever old was. That is what lies
in front of an affine with the scale 0. Sums, moves and products with constants treat such a shift
as they treat any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from un_deploy.graph.analysis.dims import AxisGroups, Shape

Array = np.ndarray

#: Two affines computed in float64 along different roads agree to far better than this.
_RELATIVE = 1e-9


#: Beside shifts of channels that are scaled by more, no others would count.
_HUGE = 2.0**63


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale * x + shift.

    Attributes:
        scale: float64, the tensor's rank, size 1 along the axes on which it is constant.
        shift: the same, with axes of its own.
    """

    scale: Array
    shift: Array

    def __post_init__(self) -> None:
        if self.scale.ndim != self.shift.ndim:
            raise ValueError(f"ranks differ: {self.scale.shape} and {self.shift.shape}")

    @staticmethod
    def identity(rank: int) -> Affine:
        return Affine(np.ones((1,) * rank), np.zeros((1,) * rank))

    @property
    def rank(self) -> int:
        return self.scale.ndim

    @property
    def varies(self) -> frozenset[int]:
        """The axes along which the scale or the shift has more than one entry."""
        return varying(self.scale) | varying(self.shift)

    @property
    def is_identity(self) -> bool:
        return bool(np.all(self.scale == 1) and np.all(self.shift == 0))

    @property
    def keeps_scale(self) -> bool:
        """Whether it is a shift alone, up to float64 rounding."""
        return _close(self.scale, np.ones_like(self.scale), 0.0)

    def __call__(self, x: Array) -> Array:
        """The image of x, which has this affine's rank (or any that broadcasts with it)."""
        return self.scale * x + self.shift

    @property
    def is_finite(self) -> bool:
        """Whether no channel is lost."""
        return bool(np.all(np.isfinite(self.scale)))

    def after(self, first: Affine) -> Affine:
        """The composition: first, then self."""
        if self.is_finite and first.is_finite:
            return Affine(self.scale * first.scale, self.scale * first.shift + self.shift)
        s2, c2, s1, c1 = np.broadcast_arrays(self.scale, self.shift, first.scale, first.shift)
        with np.errstate(all="ignore"):
            scale, shift = s2 * s1, s2 * c1 + c2
            shift = np.where(np.isinf(s2), (c2 - c1) / s1, shift)
        shift = np.where(np.isinf(s1), c1, shift)
        # What was lost does not matter to a scale of 0.
        found_again = np.isinf(s1) & (s2 == 0)
        scale = np.where(found_again, 1.0, np.where(np.isinf(s1) | np.isinf(s2), np.inf, scale))
        return Affine(scale, np.where(found_again, c2 - c1, shift))

    def inverse(self) -> Affine:
        """x as an affine of y; where the scale is 0, x is lost."""
        lost = self.scale == 0
        if self.is_finite and not np.any(lost):
            return Affine(1.0 / self.scale, -self.shift / self.scale)
        with np.errstate(all="ignore"):
            scale = np.where(lost, np.inf, 1.0 / self.scale)
            shift = np.where(lost | np.isinf(self.scale), self.shift, -self.shift / self.scale)
        return Affine(scale, shift)

    def new_of(self, old: Array) -> Array:
        """The numbers in the new variable."""
        if self.is_finite:
            return (old - self.shift) / self.scale
        with np.errstate(all="ignore"):
            return np.where(np.isinf(self.scale), self.shift, (old - self.shift) / self.scale)

    def same(self, other: Affine) -> bool:
        """Equal up to float64 rounding, however the size-1 axes are held."""
        if self.rank != other.rank:
            return False
        own, others = self._ordinary(), other._ordinary()
        if not _close(own[0], others[0], 0.0) or not np.array_equal(*_both(own[2], others[2])):
            return False
        # A shift is a difference of larger numbers: it is known only to the rounding of those.
        largest = max(float(np.max(np.abs(a))) for a in (own[1], others[1]))
        unit = max(float(np.max(np.abs(a))) for a in (own[0], others[0]))
        return _close(own[1], others[1], _RELATIVE * largest + 1e-13 * unit)

    def _ordinary(self) -> tuple[Array, Array, Array]:
        """Scale and shift, and which channels are lost; the shift of a huge scale as new has it."""
        lost = np.isinf(self.scale)
        huge = np.abs(self.scale) > _HUGE
        if not np.any(huge):
            return self.scale, self.shift, lost
        with np.errstate(all="ignore"):
            shift = np.where(huge & ~lost, self.shift / self.scale, self.shift)
            scale = np.where(huge, np.where(lost, 1.0, self.scale / _HUGE), self.scale)
        return scale, shift, lost

    def each(self, move: Callable[[Array], Array]) -> Affine:
        """The same re-arrangement of axes applied to scale and shift."""
        return Affine(move(self.scale), move(self.shift))

    def aligned(self, rank: int) -> Affine:
        """As seen in a tensor of another rank, axes matched from the last (ONNX broadcasting).

        Raises:
            ValueError: an axis on which the affine varies would be lost.
        """
        return self.each(lambda a: align(a, rank))

    def reshape(self, groups: AxisGroups, before: Shape, after: Shape) -> Affine | None:
        """As seen after a Reshape whose axes fall into groups of equal product.

        Args:
            groups: (axes before, axes after) in order, as `dims.reshape_groups` gives them.
            before, after: the two shapes; sizes are read only where this affine varies.

        Returns:
            None where it varies over a group that holds a size not known as a number.
        """
        scale = _regroup(self.scale, groups, before, after)
        shift = _regroup(self.shift, groups, before, after)
        return None if scale is None or shift is None else Affine(scale, shift)


def _both(first: Array, second: Array) -> tuple[Array, Array]:
    a, b = np.broadcast_arrays(first, second)
    return a, b


#: A gauge says what became of a tensor: old value = gauge(new value).
Gauge = Affine


def varying(array: Array) -> frozenset[int]:
    """The axes of size other than 1."""
    return frozenset(axis for axis, size in enumerate(array.shape) if size != 1)


def align(array: Array, rank: int) -> Array:
    """Add or drop leading size-1 axes until the array has the rank asked for."""
    extra = rank - array.ndim
    if extra >= 0:
        return array.reshape((1,) * extra + array.shape)
    if any(size != 1 for size in array.shape[:-extra]):
        raise ValueError(f"shape {array.shape} does not fit rank {rank}")
    return array.reshape(array.shape[-extra:])


def without_repeats(array: Array) -> Array:
    """One entry along each axis on which all are equal, unless that would leave a single number.

    A constant may be stored as large as the tensor and yet be one number a channel.
    """
    short = array
    for axis, size in enumerate(array.shape):
        first = short[(slice(None),) * axis + (slice(0, 1),)]
        if size > 1 and np.array_equal(np.broadcast_to(first, short.shape), short):
            short = first
    return short if short.size > 1 else array


def _close(a: Array, b: Array, floor: float) -> bool:
    """Entry by entry |a - b| <= 1e-9 max(|a|, |b|), or below an absolute floor."""
    allowed = np.maximum(_RELATIVE * np.maximum(np.abs(a), np.abs(b)), floor)
    return bool(np.all(np.abs(a - b) <= allowed))


def _regroup(array: Array, groups: AxisGroups, before: Shape, after: Shape) -> Array | None:
    full = list(array.shape)
    shape = [1] * len(after)
    for axes_before, axes_after in groups:
        if all(array.shape[axis] == 1 for axis in axes_before):
            continue
        for axes, source, target in ((axes_before, before, full), (axes_after, after, shape)):
            for axis in axes:
                size = source[axis]
                if not isinstance(size, int):
                    return None
                target[axis] = size
    # Within a group the order of elements is kept, and no element crosses a group.
    return np.broadcast_to(array, full).reshape(shape)
