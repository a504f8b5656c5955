"""A gauge as a weight can hold it: vectors along one axis."""

from __future__ import annotations

import numpy as np
import pytest

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.fold.rules.channel import along
from un_deploy.graph.fold.rules.protocol import Refuse


def test_scale_and_shift_become_vectors() -> None:
    gauge = Affine(np.array([[[2.0, 3.0]]]), np.array([[[5.0]]]))
    channels = along(gauge, -1)
    assert channels.scale.tolist() == [2.0, 3.0]
    assert channels.shift.tolist() == [5.0]
    assert channels.scales and channels.shifts


def test_nothing_and_the_identity_neither_scale_nor_shift() -> None:
    for gauge in (None, Affine.identity(3)):
        channels = along(gauge, 1)
        assert not channels.scales and not channels.shifts


def test_a_gauge_that_varies_along_another_axis_is_refused() -> None:
    gauge = Affine(np.ones((1, 3, 1)) * 2, np.zeros((1, 1, 1)))
    assert along(gauge, 1).scale.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(Refuse, match="the scale varies along axis 1, not only"):
        along(gauge, -1)
