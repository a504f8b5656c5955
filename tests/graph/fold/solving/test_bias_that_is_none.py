"""An Add behind a product along another axis than its weight's is no bias: it is not moved there.

Were it taken in, the product would gain the same Add, which would be taken in again, without end.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import assert_folds, build, operators
from un_deploy.graph.fold.fold import fold_graph


@pytest.mark.parametrize("rank", [3, 4])
def test_a_shift_of_rows_stays_where_it_is(rank: int) -> None:
    shape, row = ("B,4,6", (4, 1)) if rank == 3 else ("B,4,6,6", (4, 1, 1))
    model = build(
        f"float[{shape}] x => float[{shape}] y", "p = MatMul(x, w) q = Add(p, b) y = Tanh(q)",
        w=(6, 6), b=np.arange(1, 5, dtype=np.float32).reshape(row),
    )  # fmt: skip
    folded = fold_graph(model)
    assert operators(folded.model) == ["MatMul", "Add", "Tanh"] and not folded.report.changes


def test_a_norm_of_rows_leaves_its_shift() -> None:
    """Two operators become one."""
    model = build(
        "float[B,4,6] x => float[B,4,6] y",
        "h = MatMul(v, x) p = MatMul(h, w) m = Mul(p, a) q = Add(m, b) y = Tanh(q)",
        v=(4, 4), w=(6, 6), a=np.full((4, 1), 2, np.float32),
        b=np.arange(1, 5, dtype=np.float32).reshape(4, 1),
    )  # fmt: skip
    assert operators(assert_folds(model).model) == ["MatMul", "MatMul", "Add", "Tanh"]
