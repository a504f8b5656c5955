"""Blocks of pixels become channels, and back; a norm of the channels goes with them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build

FEW = {"a": (4, 1, 1), "b": (4, 1, 1)}
MODES = ["", ', mode="DCR"', ', mode="CRD"']


@pytest.mark.parametrize("block", [1, 2, 3])
def test_space_to_depth_forward(block: int) -> None:
    body = f"{NORM} p = SpaceToDepth<blocksize={block}>(n) y = Conv(p, w)"
    weights = {**FEW, "w": (3, 4 * block * block, 1, 1)}
    assert_folds(build("float[B,4,6,6] x => float[B,3,H,W] y", body, **weights))


@pytest.mark.parametrize("mode", MODES)
def test_depth_to_space_backward(mode: str) -> None:
    body = f"c = Conv(x, w) p = DepthToSpace<blocksize=2{mode}>(c) m = Mul(p, a) y = Add(m, b)"
    weights = {**FEW, "w": (16, 3, 1, 1)}
    assert_folds(build("float[B,3,6,6] x => float[B,4,12,12] y", body, **weights))


@pytest.mark.parametrize("mode", MODES)
def test_channels_that_share_their_scale(mode: str) -> None:
    """Those of one block, as they lie in either mode."""
    own = np.float32([1, 2, 3])
    all_ = np.repeat(own, 4) if "CRD" in mode else np.tile(own, 4)
    a = all_.reshape(12, 1, 1)
    body = f"{NORM} p = DepthToSpace<blocksize=2{mode}>(n) y = Conv(p, w)"
    signature = "float[B,12,3,3] x => float[B,5,6,6] y"
    assert_folds(build(signature, body, a=a, b=2 * a, w=(5, 3, 1, 1)))


@pytest.mark.parametrize("mode", MODES)
def test_channels_of_one_block_that_differ(mode: str) -> None:
    body = f"{NORM} p = DepthToSpace<blocksize=2{mode}>(n) y = Conv(p, w)"
    weights = {"a": (12, 1, 1), "b": (12, 1, 1), "w": (5, 3, 1, 1)}
    model = build("float[B,12,3,3] x => float[B,5,6,6] y", body, **weights)
    assert_stays(model, "channels that become neighbouring pixels have different scales")


def test_columns() -> None:
    body = f"{NORM} p = SpaceToDepth<blocksize=2>(n) y = Conv(p, w)"
    model = build("float[B,4,6,6] x => float[B,3,3,3] y", body, a=(6,), b=(6,), w=(3, 16, 1, 1))
    assert_stays(model, "it regroups pixels along an axis on which the scale varies")
