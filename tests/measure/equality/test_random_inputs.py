"""Random inputs are valid for the graph that takes them."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir
import pytest

from un_deploy.errors import InputError
from un_deploy.measure.equality.inputs import random_inputs


def table(name: str, *shape: int) -> str:
    """A constant of zeros, as text."""
    return f"float{list(shape)} {name} = {{{', '.join('0' * math.prod(shape))}}}"


EMBEDDING = f"""
<ir_version: 9, opset_import: ["": 20]>
encoder (int64[batch, sequence] ids, int32[batch, sequence] types, int64[batch, sequence] mask,
         float[batch, sequence, 3] extra) => (float y)
<{table("words", 50, 3)}, {table("kinds", 2, 3)}, int64[1] one = {{1}}>
{{
  column = Unsqueeze(ids, one)
  narrow = Cast<to = 6>(column)
  word = Gather(words, narrow)
  kind = Gather(kinds, types)
  factor = Cast<to = 1>(mask)
  y = Mul(word, factor)
}}
"""


def model(text: str) -> onnx_ir.Model:
    return onnx_ir.from_onnx_text(text)


def graph(
    inputs: str, body: str = "y = Identity(one)", weights: str = table("one", 1)
) -> onnx_ir.Model:
    opset = '<ir_version: 9, opset_import: ["": 20]>'
    return model(f"{opset} g ({inputs}) => (float y) <{weights}> {{ {body} }}")


def test_ids_lie_within_the_tables_they_reach() -> None:
    feeds = random_inputs(model(EMBEDDING), dims={"batch": 20, "sequence": 100})
    assert {name: (str(array.dtype), array.shape) for name, array in feeds.items()} == {
        "ids": ("int64", (20, 100)),
        "types": ("int32", (20, 100)),
        "mask": ("int64", (20, 100)),
        "extra": ("float32", (20, 100, 3)),
    }
    assert set(np.unique(feeds["ids"])) == set(range(50))
    assert set(np.unique(feeds["types"])) == {0, 1}
    assert feeds["extra"].std() == pytest.approx(1, abs=0.05)


def test_smallest_of_several_tables_counts() -> None:
    body = "a = Gather(long, x) t = Transpose(a) b = Gather<axis = 1>(wide, x) y = Add(t, b)"
    feeds = random_inputs(
        graph("int64[500] x", body, f"{table('long', 9, 4)}, {table('wide', 4, 7)}")
    )
    assert set(feeds["x"]) == set(range(7))


def test_masks_are_prefixes_of_at_least_one_token() -> None:
    rows = random_inputs(model(EMBEDDING), dims={"batch": 200, "sequence": 5})["mask"]
    assert {tuple(row) for row in rows.tolist()} == {
        tuple([1] * length + [0] * (5 - length)) for length in range(1, 6)
    }


@pytest.mark.parametrize(
    ("inputs", "first"),
    [
        ("bool[n, 4] mask", True),
        ("bool[n, 4] key_padding_mask", False),
        ("float[n, 4] attention_mask", 1.0),
        ("int64[n, 1, 4, 4] x", 1),
    ],
)
def test_what_counts_as_a_mask(inputs: str, first: object) -> None:
    (mask,) = random_inputs(graph(inputs), dims={"n": 100}).values()
    assert np.all(mask[..., 0] == first)
    assert not np.all(mask == first)
    assert np.all((mask == 0) | (mask == 1))


def test_sizes_of_dynamic_dimensions() -> None:
    inputs = "float[rows, batch_2, time, 3] a, float[time, rows] b, float[?, ?] c, float x"
    feeds = random_inputs(graph(inputs))
    assert [array.shape for array in feeds.values()] == [(2, 2, 2, 3), (2, 2), (2, 8), ()]
    feeds = random_inputs(graph("float[rows, time] a"), dims={"time": 5})
    assert feeds["a"].shape == (2, 5)
    assert random_inputs(graph("float[rows, time] a"), size=32)["a"].shape == (2, 32)


def test_every_input_is_an_array_of_the_type_that_is_taken() -> None:
    for name, array in random_inputs(graph("float x, int64 i, bool b, float16[2] h")).items():
        assert type(array) is np.ndarray, name
        assert array.dtype == {"x": "f4", "i": "i8", "b": "?", "h": "f2"}[name]


@pytest.mark.parametrize(
    ("body", "weights"),
    [
        (
            "s = Shape(x) n = Gather(s, one) p = Range(zero, n, one) r = Add(p, one)"
            "u = Unsqueeze(r, axis) y = Gather(positions, u)",
            f"{table('positions', 5, 2)}, int64 zero = {{0}}, int64 one = {{1}}, "
            "int64[1] axis = {0}",
        ),
        (
            "n = Shape<start = 1>(x) y = Slice(positions, zero, n, axis)",
            f"{table('positions', 1, 5, 2)}, int64[1] zero = {{0}}, int64[1] axis = {{1}}",
        ),
    ],
)
def test_sequence_fits_the_position_table(body: str, weights: str) -> None:
    assert random_inputs(graph("float[batch, sequence] x", body, weights))["x"].shape == (2, 5)


def test_fixed_slice_says_nothing_of_the_sequence() -> None:
    weights = f"{table('positions', 5, 2)}, int64[1] zero = {{0}}, int64[1] end = {{3}}"
    body = "part = Slice(positions, zero, end, zero) y = Add(x, part)"
    assert random_inputs(graph("float[batch, sequence] x", body, weights))["x"].shape == (2, 8)


def test_seed_decides() -> None:
    first, same, other = (random_inputs(model(EMBEDDING), seed=seed) for seed in (3, 3, 4))
    for name in first:
        np.testing.assert_array_equal(first[name], same[name])
    assert not np.array_equal(first["extra"], other["extra"])


@pytest.mark.parametrize(
    ("inputs", "dims", "message"),
    [
        ("float[n, m] x", {"k": 3}, "no dynamic dimension is named 'k'; the inputs have n, m"),
        ("float[4] x", {"k": 3}, "no dynamic dimension is named 'k'; the inputs have none"),
        ("float[n] x", {"n": -1}, "dimension n cannot be -1"),
        ("float[] x", {}, "input x has no known rank; give its data with inputs"),
        ("string[n] x", {}, "input x is STRING; give its data with inputs"),
    ],
)
def test_what_cannot_be_made(inputs: str, dims: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        random_inputs(graph(inputs), dims=dims)


def test_an_empty_past_is_a_size() -> None:
    """Of floats, of token ids, and of a mask; the sizes beside it are the usual ones."""
    inputs = "float[batch, past, 8] p, int64[batch, past] mask, float[batch, new, 8] x"
    feeds = random_inputs(graph(inputs), dims={"past": 0})
    shapes = {name: array.shape for name, array in feeds.items()}
    assert shapes == {"p": (2, 0, 8), "mask": (2, 0), "x": (2, 8, 8)}


def test_sizes_beyond_memory_are_named_with_their_option() -> None:
    for size in (10**15, 2**63 - 1):
        with pytest.raises(InputError, match=f"input x: float32 .* with dims={{'n': {size}}}: "):
            random_inputs(graph("float[n, 999] x"), dims={"n": size})


def test_what_is_free_is_asked_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("un_deploy.free_memory.free_memory", lambda: 1_000_000)
    model = graph("float[n, 999] x")
    assert random_inputs(model, dims={"n": 80})["x"].nbytes == 80 * 999 * 4
    refusal = r"input x: float32 \(n, 999\) with dims={'n': 90}: takes 0.0 GB of memory"
    with pytest.raises(InputError, match=refusal):
        random_inputs(model, dims={"n": 90})
    for fixed in ("float[90, 999] x", "int64[90, 999] x", "bool[900, 999] mask"):
        with pytest.raises(InputError, match="of memory"):
            random_inputs(graph(fixed))
