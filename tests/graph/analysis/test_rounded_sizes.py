"""Sizes behind a rounding: what is inferred is what ONNX Runtime makes, or nothing is."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from tests.support.graphs import build, to_bytes
from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.analysis.shapes import Shapes


def inferred_and_made(
    signature: str, body: str, opset: int = 20, x: np.ndarray | None = None, **constants: object
) -> tuple[Shape | None, tuple[int, ...]]:
    model = build(signature, body, opset=opset, **constants)
    session = onnxruntime.InferenceSession(to_bytes(model))
    (made,) = session.run(["y"], {} if x is None else {"x": x})
    return Shapes(model).of(model.graph.outputs[0]), made.shape


def image(size: int) -> np.ndarray:
    return np.zeros((1, 1, size), np.float32)


@pytest.mark.parametrize(
    ("size", "scale", "expected"),
    [(10, 0.5, 5), (10, 1.5, 15), (7, 0.3, 2), (10, 0.7, None), (10, 0.9, None)],
)
def test_resize_by_a_scale(size: int, scale: float, expected: int | None) -> None:
    """10 times 0.7 and 10 times 0.9 are whole numbers in float32, and not exactly."""
    scales = np.float32([1, 1, scale])
    shape, made = inferred_and_made(
        f"float[1,1,{size}] x => float[1,1,M] y", "y = Resize(x, , s)", x=image(size), s=scales
    )
    assert shape is not None
    assert expected in (made[2], None)
    assert shape[2] == expected or (expected is None and not isinstance(shape[2], int))


def test_resize_that_keeps_the_aspect_ratio() -> None:
    """Runtimes round where the package cuts: 5 * 2 / 3 is 3.33, 7 * 2 / 3 is 4.67."""
    body = 'y = Resize<keep_aspect_ratio_policy="not_larger", axes=[1,2]>(x, , , s)'
    x = np.zeros((1, 7, 3), np.float32)
    shape, made = inferred_and_made("float[1,7,3] x => float[1,M,N] y", body, x=x, s=[9, 2])
    assert made == (1, 5, 2)
    assert shape is not None and all(not isinstance(dim, int) for dim in shape)


@pytest.mark.parametrize(
    ("start", "limit", "delta", "kind", "known"),
    [
        (0, 10, 3, np.int64, True),
        (0, 1, 0.25, np.float32, True),
        (0, 7, 0.7, np.float32, False),
        (0, 7, 0.7, np.float64, False),
    ],
)
def test_range(start: float, limit: float, delta: float, kind: type, known: bool) -> None:
    numbers = {"a": np.array(start, kind), "b": np.array(limit, kind), "c": np.array(delta, kind)}
    type_ = {np.int64: "int64", np.float32: "float", np.float64: "double"}[kind]
    shape, made = inferred_and_made(f"=> {type_}[N] y", "y = Range(a, b, c)", **numbers)
    assert shape is not None
    assert shape == made if known else not isinstance(shape[0], int)


SLICES = {
    "backwards from before the start": ([-9], [-99], [-1], 1),
    "backwards over all": ([-1], [-99], [-1], 4),
    "from before the start": ([-9], [2], [1], 2),
    "behind the end": ([2], [99], [1], 2),
    "backwards by two": ([3], [-5], [-2], 2),
}


@pytest.mark.parametrize(("start", "end", "step", "size"), SLICES.values(), ids=SLICES)
def test_slice_beyond_the_bounds(start: list, end: list, step: list, size: int) -> None:
    parts = {"s": start, "e": end, "a": [0], "t": step}
    x = np.arange(4, dtype=np.float32)
    shape, made = inferred_and_made(
        "float[4] x => float[M] y", "y = Slice(x, s, e, a, t)", x=x, **parts
    )
    assert shape == made == (size,)


def test_a_shape_read_backwards() -> None:
    """Numbers inside a shape tensor are cut as the tensor is."""
    body = "h = Shape(x) r = Slice(h, s, e, a, t) y = Reshape(x, r)"
    parts = {"s": [-1], "e": [-99], "a": [0], "t": [-1]}
    x = np.zeros((2, 3, 5), np.float32)
    shape, made = inferred_and_made("float[2,3,5] x => float[5,3,2] y", body, x=x, **parts)
    assert shape == made == (5, 3, 2)


def test_a_number_that_a_cast_does_not_hold() -> None:
    """2^32 + 3 is 3 in int32: the slice ends there."""
    body = "d = Cast<to=6>(e) f = Cast<to=7>(d) y = Slice(x, s, f, a)"
    x = np.zeros(8, np.float32)
    parts = {"s": [0], "e": [2**32 + 3], "a": [0]}
    shape, made = inferred_and_made("float[8] x => float[M] y", body, x=x, **parts)
    assert made == (3,)
    assert shape is None or not isinstance(shape[0], int) or shape == made


def test_numbers_in_a_table_are_not_read_as_a_row() -> None:
    """A column plus a row is a table: its numbers are not those of the two, one by one."""
    body = (
        "h = Shape(x) c = Unsqueeze(h, one) r = Unsqueeze(h, zero) t = Add(c, r)"
        " f = Reshape(t, flat) g = Gather(f, i) y = Expand(x0, g)"
    )
    given = {"one": [1], "zero": [0], "flat": [-1], "i": [1, 2], "x0": (1,)}
    x = np.zeros((2, 3), np.float32)
    shape, made = inferred_and_made("float[2,3] x => float[M,N] y", body, x=x, **given)
    assert made == (5, 5)
    assert shape is None or all(d == 5 or not isinstance(d, int) for d in shape)


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("axes", [[-1, -3], [3, 1], [-3, 3]])
def test_axes_in_any_order(axes: list[int], opset: int) -> None:
    def node(op: str, of: str) -> str:
        return f"{op}<axes={axes}>({of})" if opset < 13 else f"{op}({of}, i)"

    body = f"u = {node('Unsqueeze', 'x')} d = Neg(u) y = {node('Squeeze', 'd')}"
    given = {} if opset < 13 else {"i": axes}
    x = np.zeros((2, 5), np.float32)
    signature = "float[2,5] x => float[2,5] y"
    shape, made = inferred_and_made(signature, body, opset=opset, x=x, **given)
    assert shape == made == (2, 5)
