"""A gauge as a weight can hold it: vectors along one axis."""

from __future__ import annotations

import numpy as np
import pytest

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.fold.rules.channel import (
    along,
    check_constant_along,
    check_no_shift,
    check_positive,
    of_the_data,
)
from un_deploy.graph.fold.rules.protocol import OUT, Refuse, into


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


SCALE, SHIFT = np.array([[2.0, -1.0, 0.0]]), np.array([[0.0, 5.0, 0.0]])
NONE, ONE = np.zeros((1, 1)), np.ones((1, 1))


def test_a_scale_below_zero_is_refused_by_its_channel() -> None:
    check_positive(Affine(np.abs(SCALE), SHIFT), "it bends")  # one of zero is none below
    with pytest.raises(Refuse, match="the scale is negative in channel 1, and it bends"):
        check_positive(Affine(SCALE, NONE), "it bends")


def test_a_shift_is_refused() -> None:
    check_no_shift(Affine(SCALE, NONE), "it bends")
    with pytest.raises(Refuse, match="it bends"):
        check_no_shift(Affine(ONE, SHIFT), "it bends")


@pytest.mark.parametrize("gauge", [Affine(SCALE, NONE), Affine(ONE, SHIFT)])
def test_what_varies_along_an_axis_is_refused_there_alone(gauge: Affine) -> None:
    check_constant_along(gauge, (0,), "pads")
    with pytest.raises(Refuse, match="it pads along an axis on which the scale varies"):
        check_constant_along(gauge, (0, 1), "pads")


def test_parameters_are_neither_scaled_nor_shifted() -> None:
    gauge, identity = Affine(SCALE, SHIFT), Affine.identity(2)
    assert of_the_data({into(0): gauge, into(1): identity}) is gauge
    assert of_the_data({OUT: gauge}) is gauge
    with pytest.raises(Refuse, match="its input 1 would be scaled or shifted, too"):
        of_the_data({into(0): gauge, into(1): gauge})
