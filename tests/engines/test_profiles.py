"""Profiles: trtexec's spelling, and every mistake that TensorRT itself says little of."""

from __future__ import annotations

import numpy as np
import pytest

from un_deploy.engines.profiles import (
    Range,
    check_profiles,
    parse_shapes,
    profile_of_sizes,
    profiles_of,
)
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import TensorSpec

IMAGES = TensorSpec("images", np.dtype(np.float32), ("batch", 3, None))
MASK = TensorSpec("mask", np.dtype(np.int64), ("batch", 4))
STATIC = TensorSpec("scale", np.dtype(np.float32), (4,))


def test_shapes_as_trtexec_spells_them() -> None:
    assert parse_shapes("ids:1x128, mask:0:2x3,scalar:") == {
        "ids": (1, 128),
        "mask:0": (2, 3),
        "scalar": (),
    }


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("t:scalar, x:2", {"t": (), "x": (2,)}),
        ("'x':2x3,\"y\":4", {"x": (2, 3), "y": (4,)}),
        ("a,b:1x2,c:3", {"a,b": (1, 2), "c": (3,)}),
        ("'a:1,b':2x3,c:scalar", {"a:1,b": (2, 3), "c": ()}),
        ("past:1x0x8", {"past": (1, 0, 8)}),
        ("x:2147483647", {"x": (2147483647,)}),
    ],
)
def test_names_and_scalars_as_trtexec_spells_them(text: str, shapes: dict[str, object]) -> None:
    assert parse_shapes(text) == shapes


@pytest.mark.parametrize("number", [2**31, 3_000_000_000, 99999999999999999999])
def test_a_size_beyond_its_type_is_named_with_its_option(number: int) -> None:
    with pytest.raises(InputError, match=f"--maxShapes: {number} for x is beyond 2147483647"):
        parse_shapes(f"y:1,x:2x{number}", "--maxShapes")


@pytest.mark.parametrize(
    "text", ["ids", "ids:1,128", "ids:-1x3", ":1x2", "ids:1x", "", "ids:1,", "ids:\u0661"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not NAME:SIZES"):
        parse_shapes(text)


def test_an_input_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="names ids twice"):
        parse_shapes("ids:1,ids:2")


def test_the_nth_of_each_make_the_nth_profile() -> None:
    one, two = {"x": (1,)}, {"x": (2,)}
    assert profiles_of([one, two], [one, two], [two, two]) == (
        {"x": Range((1,), (1,), (2,))},
        {"x": Range((2,), (2,), (2,))},
    )


def test_opt_shapes_alone_stand_for_all_three() -> None:
    assert profiles_of([], [{"x": (1,)}, {"x": (2,)}], []) == (
        {"x": Range((1,), (1,), (1,))},
        {"x": Range((2,), (2,), (2,))},
    )
    for least, largest in (([{"x": (1,)}], []), ([], [{"x": (1,)}])):
        with pytest.raises(InputError, match="profile 0 needs --minShapes"):
            profiles_of(least, [{"x": (1,)}], largest)


def test_a_profile_needs_all_three() -> None:
    with pytest.raises(InputError, match=r"profile 1 needs --minShapes, --optShapes and"):
        profiles_of([{"x": (1,)}] * 2, [{"x": (1,)}] * 2, [{"x": (1,)}])
    with pytest.raises(InputError, match=r"profile 0: y is not in all of"):
        profiles_of([{"x": (1,)}], [{"x": (1,), "y": (1,)}], [{"x": (1,), "y": (1,)}])


def both(images: Range, mask: Range = Range((1, 4), (2, 4), (8, 4))) -> list[dict[str, Range]]:  # noqa: B008
    return [{"images": images, "mask": mask}]


RIGHT = Range((1, 3, 8), (2, 3, 8), (8, 3, 32))


def test_a_right_profile_passes() -> None:
    check_profiles(both(RIGHT), [IMAGES, MASK, STATIC])
    check_profiles([], [STATIC])
    check_profiles(both(Range((1, 3, 0), (2, 3, 8), (8, 3, 32))), [IMAGES, MASK])
    check_profiles(both(Range((1, 3, 0), (2, 3, 0), (8, 3, 0))), [IMAGES, MASK])


@pytest.mark.parametrize(
    ("profiles", "text"),
    [
        ([], "input images: float32 .batch, 3, .. has sizes that are open"),
        ([{"images": RIGHT}], "profile 0 says nothing of input mask"),
        (
            [{"images": RIGHT, "mask": RIGHT, "msk": RIGHT}],
            "names msk; the inputs are images, mask",
        ),
        (
            both(Range((1, 3), (2, 3), (8, 3))),
            "the min shape 1x3 of input images.* has 2 axes, not 3",
        ),
        (
            both(Range((1, 3, 8), (2, 4, 8), (8, 3, 8))),
            "opt shape 2x4x8 .* size 4 at axis 1, which is",
        ),
        (both(Range((4, 3, 8), (2, 3, 8), (8, 3, 8))), "axis 0 .* min 4, opt 2, max 8"),
        (
            both(RIGHT, Range((1, 4), (2, 4), (9, 4))),
            r"batch is \(1, 2, 8\) in images and \(1, 2, 9\)",
        ),
    ],
)
def test_wrong_profiles_are_refused_with_what_is_wrong(
    profiles: list[dict[str, Range]], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        check_profiles(profiles, [IMAGES, MASK, STATIC])


TARGET = TensorSpec("target", np.dtype(np.int64), (2,))
LENGTH = TensorSpec("length", np.dtype(np.int64), ())


def test_values_of_an_input_that_is_read_as_a_shape() -> None:
    """As many as it has elements; whether TensorRT reads it so is seen when it has parsed."""
    values = {"target": Range((1, 0), (4, 8), (9, 8)), "length": Range((1,), (5,), (9,))}
    check_profiles([values], [TARGET, LENGTH])
    with pytest.raises(InputError, match=r"axis 0 of input target.* has min 4, opt 1, max 4"):
        check_profiles([{"target": Range((4, 8), (1, 8), (4, 8))}], [TARGET])
    with pytest.raises(InputError, match=r"shape 4x8x1 of input target.* has 3 axes, not 1"):
        check_profiles([{"target": Range((4, 8, 1), (4, 8, 1), (4, 8, 1))}], [TARGET])
    with pytest.raises(InputError, match=r"shape 4x8 of input scale.* has 2 axes, not 1"):
        check_profiles([{"scale": Range((4, 8), (4, 8), (4, 8))}], [STATIC])


def test_values_hold_whatever_shape_the_input_has() -> None:
    assert Range((1, 1), (4, 8), (9, 9), of_values=True).holds((2,))
    assert not Range((1, 1), (4, 8), (9, 9)).holds((2,))


def test_one_size_for_every_dynamic_dimension() -> None:
    ids = TensorSpec("ids", np.dtype(np.int64), ("batch", "tokens"))
    profile = profile_of_sizes({"batch": 2, "tokens": 8}, (ids, MASK, STATIC))
    assert profile == {"ids": Range(*[(2, 8)] * 3), "mask": Range(*[(2, 4)] * 3)}
    check_profiles([profile], (ids, MASK, STATIC))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"rows": 2}, "dims names rows; the dynamic dimensions are batch"),
        ({"batch": 2}, "input images: .* a size has no name; or give profiles, such as images:"),
        ({}, "dims lacks batch; or give"),
    ],
)
def test_a_size_that_is_missing_or_of_nothing(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        profile_of_sizes(sizes, (IMAGES,))
