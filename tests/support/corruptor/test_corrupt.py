"""A damage is drawn by its seed, is one change, and changes something."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.corruptor.corrupt import KINDS, Corruptor
from tests.support.corruptor.networks import folded_network
from tests.support.graphs import build, stored, to_bytes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["bodies", "pieces"])
def test_the_same_seed_gives_the_same_damage_and_the_model_stays(name: str, kind: str) -> None:
    model = folded_network(name)[1].model
    before, corruptor = to_bytes(model), Corruptor(model)
    first, again = corruptor.damaged(kind, 3), corruptor.damaged(kind, 3)
    assert to_bytes(model) == before
    if first is not None and again is not None:
        assert to_bytes(first.model) == to_bytes(again.model) != before
        assert first.place == again.place
    else:
        assert first is again is None


def damaged_constant(kind: str, **constants: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weight w before and after one damage."""
    body = "h = MatMul(x, w) y = Add(h, c)"
    model = build("float[B,4] x => float[B,4] y", body, **constants)
    damaged = Corruptor(model).damaged(kind, 0)
    assert damaged is not None
    after = damaged.model.graph.initializers
    changed = [
        n for n, v in model.graph.initializers.items() if np.any(stored(v) != stored(after[n]))
    ]
    assert len(changed) == 1
    return stored(model.graph.initializers[changed[0]]), stored(after[changed[0]])


ZERO = np.zeros(4, np.float32)
WEIGHT = np.arange(1, 17, dtype=np.float32).reshape(4, 4)


def test_one_entry_is_one_per_cent_off_and_zeros_are_passed_over() -> None:
    weight = np.zeros((4, 4), np.float32)
    weight[2, 1], weight[0, 0] = 5.0, 1e-40  # a subnormal number has no 1 %
    before, after = damaged_constant("a weight off", w=weight, c=ZERO)
    np.testing.assert_allclose(after[2, 1], 5.05, rtol=1e-6)
    assert np.count_nonzero(before != after) == 1


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_in_half_types_it_is_two_units_in_the_last_place(kind: str) -> None:
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, kind, None) or kind)
    model = build(f"{kind}[B,4] x => {kind}[B,4] y", "y = MatMul(x, w)", w=(4, 4), dtype=dtype)
    damaged = Corruptor(model).damaged("a weight off", 1)
    assert damaged is not None
    bits = [
        one.graph.initializers["w"].const_value.numpy().view(np.int16).astype(int)
        for one in (model, damaged.model)
    ]
    assert sorted(np.abs(bits[0] - bits[1]).ravel())[-2:] == [0, 2]


def test_a_symmetric_matrix_is_not_transposed() -> None:
    symmetric = build("float[B,4] x => float[B,4] y", "y = MatMul(x, w)", w=WEIGHT + WEIGHT.T)
    assert Corruptor(symmetric).damaged("a matrix transposed", 0) is None
    before, after = damaged_constant("a matrix transposed", w=WEIGHT, c=ZERO)
    np.testing.assert_array_equal(after, before.T)


def test_two_entries_that_differ_are_swapped() -> None:
    before, after = damaged_constant("two weights swapped", w=WEIGHT, c=ZERO)
    assert np.count_nonzero(before != after) == 2
    np.testing.assert_array_equal(np.sort(before.ravel()), np.sort(after.ravel()))


def test_an_edge_is_not_moved_to_a_tensor_of_the_same_numbers() -> None:
    """Whether computed alike, or the same size read from somewhere else."""
    alike = "p = Sigmoid(x) q = Sigmoid(x) y = Concat<axis=1>(p, q)"
    corruptor = Corruptor(build("float[B,4] x => float[B,8] y", alike))
    texts = {corruptor.damaged("an edge moved", seed).place.text for seed in range(20)}
    assert texts == {"x read for p", "x read for q", "p read for x"}
    sizes = """s = Shape(x) t = Shape(z) b = Gather(s, zero) c = Gather(t, zero)
               r = Unsqueeze(b, axes) k = Concat<axis=0>(r, four) y = Reshape(x, k)"""
    numbers = {"zero": 0, "axes": [0], "four": [4]}
    model = build("float[B,4] x, float[B,3] z => float[B,4] y, int64 c", sizes, **numbers)
    corruptor = Corruptor(model)
    for seed in range(20):
        damaged = corruptor.damaged("an edge moved", seed)
        assert damaged is None or damaged.place.text != "c read for b"


def test_a_bound_is_not_moved_to_one_that_picks_the_same() -> None:
    """Of four tokens -99 and 0 are the same start; of an open axis they are not."""
    numbers = {"zero": [0], "far": [-99], "two": [2], "axis": [1]}
    body = "s = Slice(x, zero, two, axis) y = Relu(s)"
    for size, moved in (("4", set()), ("T", {"far read for zero"})):
        corruptor = Corruptor(build(f"float[B,{size}] x => float[B,R] y", body, **numbers))
        drawn = [corruptor.damaged("an edge moved", seed) for seed in range(60)]
        texts = {damaged.place.text for damaged in drawn if damaged is not None}
        assert {text for text in texts if text == "far read for zero"} == moved


def test_what_gives_what_it_takes_is_not_dropped() -> None:
    body = "p = Identity(x) q = Reshape(p, shape) y = Relu(q)"
    corruptor = Corruptor(build("float[B,4] x => float[B,4] y", body, shape=[-1, 4]))
    for seed in range(10):
        damaged = corruptor.damaged("an operator dropped", seed)
        assert damaged is not None and damaged.place.text == "Relu y dropped"
        assert [value.name for value in damaged.model.graph.outputs] == ["y"]
