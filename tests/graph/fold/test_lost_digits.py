"""A shift that a second reader would have to subtract again may not drown the numbers.

In exact arithmetic such a fold is right, so the proof does not see it; runtimes do.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import assert_folds, build, operators
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64}


def two_readers(shift: float, type_: str = "float", second: str = "z = MatMul(h, p)"):
    """A norm that can only go backward, and another linear operator behind the same tensor."""
    return build(
        f"{type_}[B,4] x => {type_}[B,4] y, {type_}[B,4] z",
        f"h = MatMul(x, k) m = Mul(h, a) n = Add(m, b) s = Tanh(n) y = MatMul(s, o) {second}",
        dtype=TYPES[type_],
        k=(4, 4), o=(4, 4), p=(4, 4),
        a=np.full(4, 2, TYPES[type_]), b=np.full(4, 2 * shift, TYPES[type_]),
    )  # fmt: skip


@pytest.mark.parametrize(("type_", "shift"), [("float", 300), ("float16", 20), ("double", 3e5)])
def test_a_large_one_stays_as_an_add(type_: str, shift: float) -> None:
    folded = fold_graph(two_readers(shift, type_))
    (site,) = folded.report.stayed
    assert f"would read 'h' with {shift:.3g} added to it" in site.reason
    assert operators(folded.model) == ["MatMul", "Add", "Tanh", "MatMul", "MatMul"]


@pytest.mark.parametrize(("type_", "shift"), [("float", 200), ("float16", 10), ("double", 2e5)])
def test_what_goes_keeps_two_thirds_of_the_digits(type_: str, shift: float) -> None:
    """In ONNX Runtime, for numbers of about 1."""
    pytest.importorskip("onnxruntime")
    model = two_readers(shift, type_)
    folded = fold_graph(model.clone())
    assert [site.status for site in folded.report.sites] == ["folded"]
    dtype = TYPES[type_]
    feeds = {"x": np.random.default_rng(0).standard_normal((5, 4)).astype(dtype)}
    runtime = OnnxRuntime()
    old, new = (runtime.load(one).run(feeds) for one in (model, folded.model))
    bound = float(np.finfo(dtype).eps) ** (2 / 3)
    for name, array in old.items():
        assert np.max(np.abs(array - new[name])) <= bound * np.max(np.abs(array))


def test_where_nobody_else_reads_any_shift_goes() -> None:
    assert_folds(two_readers(1 << 20, second="z = MatMul(s, p)"))


JOINS = [
    ("t = Where(keep, n, q)", "would write 'q'"),
    ("t = Where(keep, n, fill)", "'fill' would take in"),
    ("t = Concat<axis=0>(n, q)", "would write 'q'"),
    ("t = Concat<axis=0>(n, fill)", "'fill' would take in"),
]


def joined(shift: float, type_: str, join: str):
    """A norm that can only go forward, through a join with something that has no shift."""
    return build(
        f"{type_}[B,4] x, bool[B,1] keep => {type_}[N,4] y",
        f"s = Tanh(x) m = Mul(s, a) n = Add(m, b) q = MatMul(s, p) {join} y = MatMul(t, o)",
        dtype=TYPES[type_],
        o=(4, 4), p=(4, 4), fill=(1, 4),
        a=np.full(4, 2, TYPES[type_]), b=np.full(4, shift, TYPES[type_]),
    )  # fmt: skip


@pytest.mark.parametrize(("join", "reason"), JOINS)
@pytest.mark.parametrize(("type_", "shift"), [("float", 300), ("float16", 20), ("double", 3e5)])
def test_what_meets_a_large_one_behind_a_norm_does_not_take_it(
    join: str, reason: str, type_: str, shift: float
) -> None:
    (site,) = fold_graph(joined(shift, type_, join)).report.stayed
    assert reason in site.reason and "subtract" in site.reason


@pytest.mark.parametrize(("join", "reason"), JOINS)
@pytest.mark.parametrize(("type_", "shift"), [("float", 200), ("float16", 10), ("double", 2e5)])
def test_what_meets_a_usual_one_does(join: str, reason: str, type_: str, shift: float) -> None:
    assert_folds(joined(shift, type_, join), eps=max(2.0**-23, float(np.finfo(TYPES[type_]).eps)))


def test_a_fill_that_marks_places_takes_any() -> None:
    """Its own size leaves the digits where they are."""
    for fill in (-1e9, -np.inf):
        model = build(
            "float[B,4] x, bool[B,1] keep => float[B,4] y",
            "m = Mul(x, a) n = Add(m, b) t = Where(keep, n, fill) r = Relu(t) k = Mul(r, c) "
            "y = MatMul(k, o)",
            o=(4, 4), a=np.full(4, 2, np.float32), b=np.full(4, 300, np.float32),
            c=np.full(4, 2, np.float32), fill=np.full((1, 4), fill, np.float32),
        )  # fmt: skip
        assert "would take in" not in str([site.reason for site in fold_graph(model).report.sites])
