"""Sizes of dynamic dimensions, from their names and from whole shapes together."""

from __future__ import annotations

import numpy as np
import pytest

from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import TensorSpec, sizes_given

FLOAT = np.dtype(np.float32)
IDS = TensorSpec("ids", FLOAT, ("batch", "tokens"))
MASK = TensorSpec("mask", FLOAT, ("batch", None, 4))
UNKNOWN = TensorSpec("unknown", FLOAT, None)
ALL = (IDS, MASK, UNKNOWN)


@pytest.mark.parametrize(
    ("dims", "shapes", "sizes"),
    [
        ({}, {}, {}),
        ({"batch": 2}, None, {"batch": 2}),
        (None, {"ids": (2, 8)}, {"batch": 2, "tokens": 8}),
        ({"tokens": 8}, {"mask": (2, 6, 4)}, {"tokens": 8, "batch": 2, "mask:1": 6}),
        ({"batch": 2}, {"ids": (2, 0)}, {"batch": 2, "tokens": 0}),
    ],
)
def test_sizes_by_name(dims: dict, shapes: dict, sizes: dict[str, int]) -> None:
    assert sizes_given(ALL, dims, shapes) == sizes


@pytest.mark.parametrize(
    ("dims", "shapes", "said"),
    [
        ({}, {"z": (1,)}, "shapes names z; the inputs are ids, mask, unknown"),
        ({}, {"ids": (1,)}, "shapes gives 1 axes to input ids"),
        ({}, {"unknown": (1,)}, "shapes gives 1 axes to input unknown"),
        ({}, {"mask": (1, 2, 5)}, "size 5 to axis 2 of input mask"),
        ({"batch": 3}, {"ids": (2, 8)}, "batch is 3 and, in the shape of ids, 2"),
        ({}, {"ids": (2, 8), "mask": (3, 6, 4)}, "batch is 2 and, in the shape of mask, 3"),
    ],
)
def test_what_does_not_fit(dims: dict, shapes: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sizes_given(ALL, dims, shapes)
