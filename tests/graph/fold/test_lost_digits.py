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
