"""Sizes on which a network runs: two of every axis that it leaves open."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.measure.equality.sizes import runs_at_several_sizes
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

pytest.importorskip("onnxruntime")

IMAGE = "float[batch,3,height,width] x => float[batch,4] y"


def runs(signature: str, body: str, **weights: object) -> tuple[list[tuple[int, ...]], list[str]]:
    """The shapes of x, and the axes of which one size was seen."""
    model = build(signature, body, **weights)
    session = OnnxRuntime(threads=1).load(model)
    feeds, outputs, single = runs_at_several_sizes(model, session.run)
    assert len(feeds) == len(outputs)
    return [one["x"].shape for one in feeds], single


def test_the_usual_ones_where_they_will_do() -> None:
    assert runs("float[B,T,4] x => float[B,T,4] y", "y = Neg(x)") == ([(2, 8, 4), (3, 9, 4)], [])


def test_one_run_without_an_open_axis() -> None:
    assert runs("float[5,4] x => float[5,4] y", "y = Neg(x)") == ([(5, 4)], [])


def test_images_that_are_larger_than_the_window() -> None:
    body = "c = Conv(x, w)  y = ReduceMean<keepdims=0>(c, axes)"
    shapes, single = runs(IMAGE, body, w=(4, 3, 10, 10), axes=[2, 3])
    assert (shapes, single) == ([(2, 3, 32, 32), (3, 3, 48, 48)], [])


def test_images_of_which_something_is_left() -> None:
    """The mean of nothing is 0 in ONNX Runtime: such sizes are passed over."""
    body = "c = Conv<strides=[16,16]>(x, w)  p = Slice(c, one, two, axes)"
    body += "  y = ReduceMean<keepdims=0>(p, axes)"
    shapes, _ = runs(IMAGE, body, w=(4, 3, 8, 8), axes=[2, 3], one=[1, 1], two=[9, 9])
    assert shapes == [(2, 3, 32, 32), (3, 3, 48, 48)]


def test_an_axis_that_is_open_in_name_alone_is_told() -> None:
    shapes, single = runs("float[B,T] x => float[B,K] y", "y = MatMul(x, w)", w=(32, 2))
    assert (shapes, single) == ([(2, 32)], ["B", "T"])


def test_sizes_end_where_a_position_table_does() -> None:
    body = "s = Shape<start=1>(x)  p = Slice(t, zero, s, zero)  y = Add(x, p)"
    shapes, single = runs("float[B,T] x => float[B,T] y", body, t=(6,), zero=[0])
    assert (shapes, single) == ([(2, 6), (3, 6), (3, 5)], [])


def test_large_inputs_are_not_made() -> None:
    shapes, _ = runs("float[B,4,D,H,W] x => float[B,4,D,H,W] y", "y = Neg(x)")
    assert max(np.prod(shape) for shape in shapes) * 4 <= 16_000_000


@pytest.mark.parametrize(
    "signature",
    [
        "float[B,4,D,H,W] x => float[B,4,D,H,W] y",
        "float[A,B,C,D,E,F,G] x => float[A,B,C,D,E,F,G] y",
        "float[B,1024,T] x, float[B,T,T] z => float[B,1024,T] y",
    ],
)
def test_a_network_that_runs_on_none_of_them_is_offered_no_large_ones(signature: str) -> None:
    """They are not even drawn: 512 on every axis would take terabytes."""
    model, offered = build(signature, "y = Neg(x)"), []

    def run(feeds: Feeds) -> dict[str, np.ndarray]:
        offered.append(sum(array.nbytes for array in feeds.values()))
        raise InputError("no")

    tracemalloc.start()
    with pytest.raises(InputError, match="no"):
        runs_at_several_sizes(model, run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(offered) <= 16_000_000
    assert peak < 4 * 16_000_000


def test_none_will_do() -> None:
    with pytest.raises(InputError, match="onnxruntime cannot run the graph"):
        runs("float[B,T] x => float[B,K] y", "y = MatMul(x, w)", w=(31, 2))
