"""The two proofs on exported networks: no gauge and no number can be wrong unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import stored
from tests.support.networks.cases import Case, with_micros
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.editor import Editor
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.original_tensors import OriginalTensors
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.solving.assignment import Assignment
from un_deploy.graph.fold.solving.propagate import certify
from un_deploy.graph.fold.solving.solve import all_edits, solve
from un_deploy.graph.proof.prove import prove

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", params=with_micros(()), ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param, "un", "dynamo", dynamic=True)


def view_of(model: ir.Model) -> GraphView:
    return GraphView(model, Constants(model), Shapes(model))


def first_assignment(view: GraphView) -> Assignment:
    solutions = [solve(view, direction) for direction in ("forward", "backward")]
    return min(solutions, key=lambda solution: solution.cost).assignment


def wrong(gauge: Affine) -> Iterator[Affine]:
    """One channel's scale, and one channel's shift, off by a part in a thousand."""
    yield Affine(_moved(gauge.scale, gauge.scale.flat[0] * 1e-3), gauge.shift)
    yield Affine(gauge.scale, _moved(gauge.shift, max(abs(gauge.shift.flat[0]) * 1e-3, 1e-3)))


def _moved(array: np.ndarray, step: float) -> np.ndarray:
    array = array.copy()
    array.flat[0] += step
    return array


def test_a_plan_with_one_gauge_changed_is_refused_or_still_right(case: Case) -> None:
    """Where only linear operators and constants see a tensor, any gauge of it is a right one."""
    view = view_of(case.original)
    right = first_assignment(view)
    certify(view, right)
    refused = 0
    assert len(right.tensors) >= case.recipe.norms
    for value, gauge in right.tensors.items():
        for other in wrong(gauge):
            try:
                certify(view, replace(right, tensors={**right.tensors, value: other}))
            except Refuse:
                refused += 1
            else:
                assert_still_right(case, str(value.name), other)
    assert refused >= len(right.tensors)


def assert_still_right(case: Case, name: str, gauge: Affine) -> None:
    """Apply the solution with this gauge to a clone: it must be proven."""
    model = case.original.clone()
    constants, shapes = Constants(model), Shapes(model)
    view, tracker = GraphView(model, constants, shapes), OriginalTensors(model)
    found = first_assignment(view)
    value = next(v for v in found.tensors if v.name == name)
    changed = replace(found, tensors={**found.tensors, value: gauge})
    edits = tuple(all_edits(view, changed))
    tracker.gauges(view, changed)
    changes, instead = Editor(model, constants, shapes).apply(edits)
    tracker.applied(changes, edits, instead)
    exact = {str(change.value.name): constants.exact(change.value) for change in changes}
    folded = replace(case.folded, model=model, claims=tracker.claims(model), exact=exact)
    proof = prove(case.original, folded)
    assert proof.passed, (name, proof.problems)


def test_one_per_cent_of_any_folded_initializer_is_seen(case: Case) -> None:
    folded = case.folded
    for change in folded.report.changes:
        value = folded.model.graph.initializers[change.new]
        right = value.const_value
        assert right is not None
        array = stored(value)
        assert array.any()
        value.const_value = ir.tensor((array * 1.01).astype(right.numpy().dtype), name=change.new)
        try:
            problems = prove(case.original, folded).problems
        finally:
            value.const_value = right
        assert [problem.place for problem in problems] == [change.new]
    assert prove(case.original, folded).passed
