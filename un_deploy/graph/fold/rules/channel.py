"""Reads a gauge along one axis, as linear operators need it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.protocol import OUT, Known, Refuse, into


class Channels(NamedTuple):
    """scale and shift along one axis: float64 vectors of its size, or of size 1."""

    scale: np.ndarray
    shift: np.ndarray

    @property
    def scales(self) -> bool:
        return bool(np.any(self.scale != 1))

    @property
    def shifts(self) -> bool:
        return bool(np.any(self.shift != 0))

    def new_of(self, old: np.ndarray) -> np.ndarray:
        """The numbers in the new variable, of an array with the channels last."""
        return Affine(self.scale, self.shift).new_of(old)


NOTHING = Channels(np.ones(1), np.zeros(1))


def along(gauge: Gauge | None, axis: int) -> Channels:
    """The gauge as vectors along `axis` (negative counts from the end).

    Raises:
        Refuse: it varies along another axis, where a weight cannot hold it.
    """
    if gauge is None or gauge.is_identity:
        return NOTHING
    others = gauge.varies - {axis % gauge.rank}
    if others:
        varies = what_varies(gauge, min(others))
        raise Refuse(f"{varies} along axis {min(others)}, not only along the channels")
    return Channels(gauge.scale.reshape(-1), gauge.shift.reshape(-1))


def what_varies(gauge: Gauge, axis: int) -> str:
    """Whether it is the scale, the shift or both that vary along an axis, with the verb."""
    scale, shift = (array.shape[axis] > 1 for array in (gauge.scale, gauge.shift))
    if scale and shift:
        return "the scale and shift vary"
    return "the scale varies" if scale else "the shift varies"


def check_positive(gauge: Gauge, why: str) -> None:
    """Refuse a scale below zero.

    Raises:
        Refuse: with the channel, and why a scale below zero does not pass.
    """
    negative = np.flatnonzero(~(gauge.scale >= 0))
    if negative.size:
        raise Refuse(f"the scale is negative in channel {negative[0]}, and {why}")


def check_no_shift(gauge: Gauge, why: str) -> None:
    """Refuse a shift.

    Raises:
        Refuse: with why a shift does not pass.
    """
    if np.any(gauge.shift != 0):
        raise Refuse(f"{why}")


def check_constant_along(gauge: Gauge, axes: Collection[int], what: str) -> None:
    """Refuse a gauge that varies along one of these axes.

    Raises:
        Refuse: with what the operator does along it.
    """
    if gauge.varies & set(axes):
        raise Refuse(f"it {what} along an axis on which the scale varies")


def of_the_data(known: Known) -> Gauge:
    """The gauge of an operator that takes one tensor and parameters: of its input, or its output.

    Raises:
        Refuse: a parameter has one.
    """
    for port, gauge in known.items():
        if port not in (OUT, into(0)) and not gauge.is_identity:
            raise Refuse(f"its {port.side}put {port.position} would be scaled or shifted, too")
    return known[into(0)] if into(0) in known else known[OUT]


def check_bias(bias: ir.Value | None, channels: int, view: GraphFacts) -> None:
    """Hold a convolution's bias against its channels: a damaged file may have any.

    Raises:
        Refuse: it is not one number for each of them.
    """
    if bias is not None and tuple(view.sizes(bias)) != (channels,):
        raise Refuse("its bias is not one number for each channel")
