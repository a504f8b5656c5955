"""Profiles: trtexec's spelling, and every mistake that TensorRT itself says little of."""

from __future__ import annotations

import numpy as np
import pytest

from un_deploy.engines.profiles import Range, check_profiles, parse_shapes, profiles_of
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


@pytest.mark.parametrize("text", ["ids", "ids:1,128", "ids:-1x3", ":1x2", "ids:1x", ""])
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
        (both(Range((1, 3, 0), (2, 3, 0), (8, 3, 8))), "axis 2 of input images.* has opt 0"),
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
