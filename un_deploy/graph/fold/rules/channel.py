"""Reads a gauge along one axis, as linear operators need it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.protocol import Refuse


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
        raise Refuse(
            f"the scale and shift vary along axis {min(others)}, not only along the channels"
        )
    return Channels(gauge.scale.reshape(-1), gauge.shift.reshape(-1))


def check_bias(bias: ir.Value | None, channels: int, view: GraphFacts) -> None:
    """Hold a convolution's bias against its channels: a damaged file may have any.

    Raises:
        Refuse: it is not one number for each of them.
    """
    if bias is not None and tuple(view.sizes(bias)) != (channels,):
        raise Refuse("its bias is not one number for each channel")
