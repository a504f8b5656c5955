"""Resize, nearest, linear or cubic, lets a norm of channels through; it may not resize these."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators

SIGNATURE = "float[B,4,3,3] x => float[B,5,H,W] y"
WEIGHTS = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (5, 4, 1, 1)}
BY = np.array([1, 1, 2, 3], np.float32)
HOW = [
    'mode="nearest"',
    'mode="linear"',
    'mode="cubic"',
    'mode="cubic", cubic_coeff_a=-0.5',
    'mode="linear", coordinate_transformation_mode="align_corners"',
    'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"',
]


@pytest.mark.parametrize("how", HOW)
def test_forward(how: str) -> None:
    body = f"{NORM} r = Resize<{how}>(n, , by) y = Conv(r, w)"
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, by=BY))
    assert operators(folded.model) == ["Resize", "Conv"]


def test_backward() -> None:
    body = 'c = Conv(x, w) r = Resize<mode="linear">(c, , by) m = Mul(r, a) y = Add(m, b)'
    assert_folds(build(SIGNATURE, body, a=(5, 1, 1), b=(5, 1, 1), w=(5, 4, 1, 1), by=BY))


@pytest.mark.parametrize(
    ("opset", "grown"),
    [
        (7, 'Upsample<mode="nearest", scales=[1.0,1.0,2.0,3.0]>(n)'),
        (8, 'Upsample<mode="linear", scales=[1.0,1.0,2.0,2.0]>(n)'),
        (9, "Upsample(n, by)"),
        (10, 'Resize<mode="linear">(n, by)'),
    ],
)
def test_in_older_opsets(opset: int, grown: str) -> None:
    body = f"{NORM} r = {grown} y = Conv(r, w)"
    folded = assert_folds(build(SIGNATURE, body, opset=opset, **WEIGHTS, by=BY))
    assert operators(folded.model) == [grown.split("<")[0].split("(")[0], "Conv"]


@pytest.mark.parametrize("factor", [0.5, 0.25])
def test_before_opset_11_fewer_places_by_the_nearest_are_not_stated(factor: float) -> None:
    body = f"{NORM} r = Resize(n, by) y = Conv(r, w)"
    by = np.array([1, 1, factor, 1], np.float32)
    model = build(SIGNATURE.replace("3,3", "4,4"), body, opset=10, **WEIGHTS, by=by)
    assert_stays(model, "before opset 11 nothing says which of its places is the nearest")


def test_to_known_sizes() -> None:
    body = f'{NORM} r = Resize<mode="linear">(n, , , to) y = Conv(r, w)'
    model = build(SIGNATURE.replace("B,4", "2,4"), body, **WEIGHTS, to=[2, 4, 7, 5])
    assert_folds(model)


REFUSALS = {
    "channels are resized": ("Resize(n, , by)", [1, 2, 1, 1], "it resizes along an axis on which"),
    "cropping": (
        'Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize">(n, roi, by)',
        [1, 1, 2, 2],
        "in a way that is not known to keep a shift",
    ),
    "a third, which is not exact": (
        "Resize(n, , by)",
        [1, 1, 1 / 3, 1],
        "rounding decides which of its places is the nearest",
    ),
    "corners of a size that is cut": (
        'Resize<mode="linear", coordinate_transformation_mode="align_corners">(n, , by)',
        [1, 1, 1.5, 1],
        "its size is cut to a whole number",
    ),
    "a cubic of what is inside alone": (
        'Resize<mode="cubic", exclude_outside=1>(n, , by)',
        [1, 1, 2, 2],
        "in a way that is not known to keep a shift",
    ),
    "smoothing": (
        'Resize<mode="linear", antialias=1>(n, , by)',
        [1, 1, 0.5, 0.5],
        "in a way that is not known to keep a shift",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    op, by, reason = REFUSALS[case]
    roi = {"roi": np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32)} if "roi" in op else {}
    weights = {**WEIGHTS, "w": (5, 8, 1, 1)} if by[1] == 2 else WEIGHTS
    body = f"{NORM} r = {op} y = Conv(r, w)"
    assert_stays(build(SIGNATURE, body, **weights, **roi, by=np.array(by, np.float32)), reason)


def test_no_sizes_at_all() -> None:
    body = f"{NORM} r = Resize(n, , by) y = Conv(r, w)"
    model = build(SIGNATURE, body, **WEIGHTS, by=np.zeros(0, np.float32))
    assert_stays(model, "its sizes do not fit the tensor")


def test_a_contradicted_shape() -> None:
    body = "c = Conv(x, w) r = Resize(c, , by) m = Mul(r, a) y = Add(m, b)"
    by = np.array([1, 1, 2, 2], np.float32)
    given = {"a": (5, 1, 1), "b": (5, 1, 1), "by": by, "claims": "float[7] c"}
    model = build("float[B,4,3,3] x => float[B,5,6,6] y", body, w=(5, 4, 1, 1), **given)
    assert_stays(model, "the shape of what it resizes is unknown")


TO_THE_SIZE_OF = {
    "another tensor": "s = Shape(z) q = Slice(s, two, four)",
    "its own, doubled": "s = Shape(n) p = Slice(s, two, four) q = Mul(p, two)",
    "another tensor's, one size after the other": (
        "s = Shape(z) h = Gather(s, two) v = Gather(s, three) q = Concat<axis=0>(h, v)"
    ),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("case", TO_THE_SIZE_OF)
def test_to_computed_sizes(case: str, how: str) -> None:
    signature = "float[B,4,H,W] x, float[B,4,P,Q] z => float[B,5,R,S] y"
    body = (
        f"{NORM} {TO_THE_SIZE_OF[case]} i = Shape(x) j = Slice(i, zero, two)"
        f" to = Concat<axis=0>(j, q) r = Resize<{how}>(n, , , to) y = Conv(r, w)"
    )
    numbers = {"zero": [0], "two": [2], "three": [3], "four": [4]}
    used = {name: given for name, given in numbers.items() if f" {name}" in body}
    folded = assert_folds(build(signature, body, **WEIGHTS, **used))
    assert operators(folded.model)[-2:] == ["Resize", "Conv"]


@pytest.mark.parametrize("how", HOW)
def test_an_open_size_to_a_known_one(how: str) -> None:
    body = f"{NORM} r = Resize<{how}>(n, , , to) y = Conv(r, w)"
    signature = "float[2,4,H,W] x => float[2,5,7,6] y"
    assert_folds(build(signature, body, **WEIGHTS, to=[2, 4, 7, 6]))


def test_computed_sizes_of_the_channels() -> None:
    signature = "float[B,4,3,3] x, int64[4] to => float[B,5,H,W] y"
    body = f"{NORM} r = Resize(n, , , to) y = Conv(r, w)"
    assert_stays(build(signature, body, **WEIGHTS), "it resizes along an axis on which")


def test_computed_factors() -> None:
    signature = "float[B,4,3,3] x, float[4] by => float[B,5,H,W] y"
    body = f"{NORM} r = Resize(n, , by) y = Conv(r, w)"
    assert_stays(build(signature, body, **WEIGHTS), "its sizes are computed")
