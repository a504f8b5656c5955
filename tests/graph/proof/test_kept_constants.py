"""A constant is the original's bit for bit, or one that the fold rewrote."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build, set_constant, stored
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.proof.kept_constants import KeptConstants

CONSTANTS = {"a": (4,), "b": (4,), "w": (4, 5), "free": (5,), "k": (5,)}


def folded() -> tuple[ir.Model, Folded]:
    """w was rewritten, k was not, and a caller may override free."""
    body = f"{NORM} p = MatMul(n, w) q = Mul(p, free) s = Sigmoid(q) y = Mul(s, k)"
    original = build("float[B,3,4] x => float[B,3,5] y", body, **CONSTANTS)
    original.graph.inputs.append(original.graph.initializers["free"])
    return original, fold_graph(original.clone())


def places(spoil: Callable[[ir.Model], object]) -> list[str]:
    original, fold = folded()
    spoil(fold.model)
    kept = KeptConstants(original, fold)
    kept.check_all()
    return [problem.place for problem in kept.problems]


def one_per_cent(name: str) -> Callable[[ir.Model], object]:
    return lambda model: set_constant(model, name, 1.01 * stored(model.graph.initializers[name]))


def test_a_fold_keeps_what_it_does_not_rewrite() -> None:
    assert places(lambda model: None) == []


@pytest.mark.parametrize("name", ["w", "k", "free"])
def test_another_number_is_named_whoever_reads_it(name: str) -> None:
    assert places(one_per_cent(name)) == [name]


def test_a_default_that_is_gone_is_named() -> None:
    assert places(lambda model: model.graph.initializers.pop("free")) == ["free"]


def test_rewritten_ones_are_compared_once_and_counted() -> None:
    original, fold = folded()
    kept = KeptConstants(original, fold)
    weight = fold.model.graph.initializers["w"]
    assert kept.is_constant(weight) and kept.is_known(weight)
    assert not kept.same(weight, original.graph.initializers["w"])
    np.testing.assert_array_equal(kept.exact(weight)(), fold.exact["w"]())
    assert kept.compared == {"w"}
