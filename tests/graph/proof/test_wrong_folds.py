"""A fold that is wrong and says so nowhere is seen by computing both graphs, whatever the type.

A rule's edit or the recogniser is made wrong, so what is saved, the exact numbers and the claims
all agree with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, stored
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold import graph_view
from un_deploy.graph.fold.editor import Editor
from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.rules import rules
from un_deploy.graph.fold.site import Site
from un_deploy.graph.proof.prove import prove

BATCH_NORMALIZATION = build(
    "float[B,4,6,6] x => float[B,5,4,4] y",
    "n = BatchNormalization<epsilon=0.01>(x, a, b, u, av) y = Conv(n, w)",
    a=(4,),
    b=(4,),
    u=(4,),
    av=(4,),
    w=(5, 4, 3, 3),
)
EXAMPLES = [
    pytest.param(model, id=f"{type(rule).__name__}-{index}")
    for rule in rules()
    for index, model in enumerate(rule.examples())
] + [pytest.param(BATCH_NORMALIZATION, id="BatchNormalization")]
TYPES = [ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16]

#: The new constant as an edit computes it, and the one that was there (None for a gained bias).
Wrong = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]


def factor_dropped(right: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    return np.zeros_like(right) if old is None else np.broadcast_to(old, right.shape)


def axis_swapped(right: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    return right[::-1] if right.ndim == 1 else right.T.reshape(right.shape)


def sign(right: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    return -right


def one_per_cent(right: np.ndarray, old: np.ndarray | None) -> np.ndarray:
    return 1.01 * right


def in_type(model: ir.Model, dtype: ir.DataType) -> ir.Model:
    """The same graph with every float32 tensor in another type."""
    copy = model.clone()
    values = [*copy.graph.inputs, *copy.graph.initializers.values()]
    for value in (*values, *(v for node in copy.graph for v in node.outputs)):
        if value.dtype == ir.DataType.FLOAT:
            value.type = ir.TensorType(dtype)
            if value.const_value is not None:
                array = stored(value).astype(dtype.numpy())
                value.const_value = ir.Tensor(array, dtype=dtype, name=value.name)
    return copy


def fold_with(
    model: ir.Model, wrong: Wrong, edit: int, monkeypatch: pytest.MonkeyPatch
) -> Folded | None:
    """The fold whose edit of this number is wrong; None where that is right all the same."""
    changed: list[bool] = []
    apply = Editor.apply

    def spoilt(one: SetConstant | AddBias) -> SetConstant | AddBias:
        value = one.node.inputs[one.index] if isinstance(one, SetConstant) else None
        assert value is None or value.is_initializer()
        old, right = None if value is None else stored(value), one.compute()
        array = np.broadcast_to(wrong(right, old), right.shape)
        changed.append(not np.allclose(array, right, rtol=1e-3, atol=1e-3 * np.abs(right).max()))
        return replace(one, compute=lambda: array)

    def wrongly(self: Editor, edits: Iterable[Edit]) -> Any:
        edits = list(edits)
        places = [i for i, e in enumerate(edits) if isinstance(e, (SetConstant, AddBias))]
        if edit < len(places):
            place = places[edit]
            edits[place] = spoilt(edits[place])
        return apply(self, edits)

    with monkeypatch.context() as patch:
        patch.setattr(Editor, "apply", wrongly)
        folded = fold_graph(model.clone())
    return folded if any(changed) else None


def fold_off(
    model: ir.Model, monkeypatch: pytest.MonkeyPatch, *, scale: float = 1.0, shift: float = 1.0
) -> Folded:
    """The fold with every norm recognised as another: scale and shift times these."""
    find_sites = graph_view.find_sites

    def wrongly(*given: Any) -> Any:
        sites, misses = find_sites(*given)
        affines = (Affine(scale * site.affine.scale, shift * site.affine.shift) for site in sites)
        return [replace(s, affine=a) for s, a in zip(sites, affines, strict=True)], misses

    with monkeypatch.context() as patch:
        patch.setattr(graph_view, "find_sites", wrongly)
        return fold_graph(model.clone())


def sites_of(model: ir.Model) -> list[Site]:
    return graph_view.GraphView(model, Constants(model), Shapes(model)).sites


def assert_seen(model: ir.Model, folded: Folded) -> None:
    """By what both graphs compute alone: what is saved is what was meant."""
    problems = prove(model, folded).problems
    assert any(problem.differs for problem in problems), problems
    assert not {problem.place for problem in problems} & folded.exact.keys()


WRONG: list[Wrong] = [factor_dropped, axis_swapped, sign, one_per_cent]


def in_turn(*others: Any) -> list[Any]:
    """Every example with each of these, in one of the types, so that all types meet all of these.

    A proof computes in float64 whatever the type is, which decides about its bounds alone.
    """
    return [
        pytest.param(
            *example.values,
            TYPES[(number + turn) % len(TYPES)],
            *other,
            id="-".join([str(example.id), *(one.__name__ for one in other)]),
        )
        for number, example in enumerate(EXAMPLES)
        for turn, other in enumerate(others)
    ]


class TestEveryRule:
    @pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name.lower())
    @pytest.mark.parametrize("model", EXAMPLES)
    def test_right_it_is_proven(self, model: ir.Model, dtype: ir.DataType) -> None:
        original = in_type(model, dtype)
        folded = fold_graph(original.clone())
        assert folded.report.folded and not folded.report.stayed
        proof = prove(original, folded)
        assert proof.passed, proof.problems

    @pytest.mark.parametrize(("model", "dtype", "wrong"), in_turn(*((one,) for one in WRONG)))
    def test_a_wrong_edit_is_seen(
        self, model: ir.Model, dtype: ir.DataType, wrong: Wrong, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = in_type(model, dtype)
        seen = 0
        for edit in range(len(fold_graph(original.clone()).exact)):
            if (folded := fold_with(original, wrong, edit, monkeypatch)) is not None:
                assert_seen(original, folded)
                seen += 1
        assert seen or wrong in (factor_dropped, axis_swapped)

    @pytest.mark.parametrize(("model", "dtype"), in_turn(()))
    def test_a_norm_that_is_recognised_10_per_cent_off_is_seen(
        self, model: ir.Model, dtype: ir.DataType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = in_type(model, dtype)
        assert_seen(original, fold_off(original, monkeypatch, scale=1.1))
        if any(np.any(site.affine.shift) for site in sites_of(original)):
            assert_seen(original, fold_off(original, monkeypatch, shift=1.1))


def test_every_way_of_being_wrong_is_shown_on_every_rule_that_rewrites(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the examples of a rule have a constant whose axes, or whose factor, can be told."""
    for wrong in (factor_dropped, axis_swapped):
        for rule in rules():
            models = [*rule.examples()]
            edits = ((m, e) for m in models for e in range(len(fold_graph(m.clone()).exact)))
            assert any(fold_with(m, wrong, e, monkeypatch) for m, e in edits), type(rule)
