"""Numbers for the leaves of a region are of a kind that its operators take, and reach all rows."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.draw import Draw
from un_deploy.graph.proof.region import Region
from un_deploy.graph.proof.sizes import NoSizeError, Sizes
from un_deploy.graph.proof.slices import slice_of


def draw_of(model: ir.Model, claims: dict[str, Claim] | None = None, open_: int = 5) -> Draw:
    """Of the region from the inputs to y, which is the same on both sides."""
    inputs = list(model.graph.inputs)
    whole = slice_of(model.graph.outputs[0], lambda v: v in inputs, lambda v: v.is_initializer())
    leaves = {v: ((claims or {}).get(str(v.name), Claim(str(v.name))),) for v in inputs}
    shapes, constants = Shapes(model), Constants(model)
    sizes = Sizes(model, shapes, constants, open_, open_, {}, {})
    return Draw(Region(whole, whole, Claim("y"), leaves), sizes)


def drawn(model: ir.Model, index: int = 0, turn: int = 0) -> np.ndarray:
    leaf = model.graph.inputs[index]
    return draw_of(model).leaf(leaf, leaf, turn)


def test_floating_numbers_are_standard_normal_and_the_same_every_time() -> None:
    model = build("float16[100,3,40] x => float16[100,3,40] y", "y = Neg(x)")
    first, again = drawn(model), drawn(model)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float64 and first.shape == (100, 3, 40)
    assert abs(first.mean()) < 0.05 and abs(first.std() - 1) < 0.05


def test_half_of_the_entries_are_ordinary_in_the_originals_numbers() -> None:
    """Where the gauge makes a channel tiny, these are huge in the new variables."""
    model = build("float[100,3] x => float[100,3] y", "y = Neg(x)")
    gauge = Affine(np.array([[1.0, 1e-9, 1.0]]), np.zeros((1, 3)))
    (x,) = model.graph.inputs
    array = np.abs(draw_of(model, {"x": Claim("x", gauge)}).leaf(x, x, 0))
    assert 30 < np.count_nonzero(array[:, 1] > 1e4) < 70
    assert not np.any(array[:, [0, 2]] > 1e4)


def test_a_gauge_tells_the_size_of_an_axis() -> None:
    model = build("float[B,C] x => float[B,C] y", "y = Neg(x)")
    gauge = Affine(np.ones((1, 7)), np.zeros((1, 1)))
    (x,) = model.graph.inputs
    assert draw_of(model, {"x": Claim("x", gauge)}).leaf(x, x, 0).shape[1] == 7


def test_truth_is_drawn() -> None:
    assert drawn(build("bool[9,9] x => bool[9,9] y", "y = Not(x)")).dtype == bool


def test_indices_run_through_all_rows_of_a_table_in_turns() -> None:
    model = build("int64[4] x => float[4,2] y", "y = Gather(t, x)", t=(10, 2))
    (x,) = model.graph.inputs
    draw = draw_of(model)
    first = draw.leaf(x, x, 0)
    assert draw.rounds == 3
    rows = np.concatenate([first, *(draw.leaf(x, x, turn) for turn in (1, 2))])
    assert set(rows.tolist()) == set(range(10))


def test_of_two_tables_the_smaller_one_bounds_the_indices() -> None:
    body = "g = Gather(t, x) h = Gather(u, x) y = Add(g, h)"
    model = build("int64[4] x => float[4,2] y", body, t=(10, 2), u=(3, 2))
    assert drawn(model).max() == 2


def test_a_target_shape_that_is_data_has_a_size_for_every_axis() -> None:
    model = build("float[2,6] x, int64[2] s => float[3,4] y", "y = Reshape(x, s)")
    assert np.all(drawn(model, 1) >= 1)


def test_bounds_that_are_data_leave_something_of_a_slice() -> None:
    body = "y = Slice(x, s, e, axes)"
    model = build("float[2,6] x, int64[1] s, int64[1] e => float[2,4] y", body, axes=[1])
    assert drawn(model, 1).tolist() == [0] and drawn(model, 2)[0] >= 1


def test_a_step_that_is_data_is_one() -> None:
    body = "y = Slice(x, s, e, axes, t)"
    model = build("float[2,6] x, int64[1] t => float[2,L] y", body, s=[0], e=[6], axes=[1])
    assert drawn(model, 1).tolist() == [1]


def test_other_integers_are_small_and_many() -> None:
    found = drawn(build("int64[100] x => int64[100] y", "y = Neg(x)"))
    assert set(found.tolist()) == set(range(5))


def test_what_would_be_too_large_is_not_drawn() -> None:
    model = build("float[B,S,999] x => float[B,S,999] y", "y = Neg(x)")
    (x,) = model.graph.inputs
    with pytest.raises(NoSizeError, match="'x' would be too large"):
        draw_of(model, open_=512).leaf(x, x, 0)


@pytest.mark.parametrize(("images", "fits"), [(7, True), (16, False)])
def test_a_few_images_of_many_windows_are_drawn(images: int, fits: bool) -> None:
    """A stage of Swin-T has 64 windows of 49 tokens and 96 channels an image."""
    model = build(
        "float[B,64,49,96] x => float[N,49,96] y",
        "w = Reshape(x, windows) y = Neg(w)",
        windows=[-1, 49, 96],
    )
    (x,), windows = model.graph.inputs, model.graph.node(0).outputs[0]
    draw = draw_of(model, open_=images)
    if fits:
        assert draw.leaf(x, windows, 0).shape == (64 * images, 49, 96)
    else:
        with pytest.raises(NoSizeError, match="'w' would be too large"):
            draw.leaf(x, windows, 0)


@pytest.mark.parametrize("dtype", ["float", "int64", "bool"])
def test_neither_is_what_takes_gigabytes_at_fixed_sizes(dtype: str) -> None:
    model = build(f"{dtype}[64,1048576,2] x => {dtype}[64,1048576,2] y", "y = Identity(x)")
    (x,) = model.graph.inputs
    with pytest.raises(NoSizeError, match="'x' would be too large"):
        draw_of(model, open_=3).leaf(x, x, 0)
