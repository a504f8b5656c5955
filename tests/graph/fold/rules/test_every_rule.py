"""What every rule must do on the examples that its file gives.

Here too is what it has to state for others: a rule that forgets it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.float64 import Float64, run
from tests.support.graphs import assert_folds, feeds_for, set_constant, stored, to_bytes
from un_deploy.graph.analysis.evaluators import EVALUATORS
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.rules import operator_named, operators, rules
from un_deploy.graph.proof.prove import prove
from un_deploy.graph.strip.biases_gained_by_fold import add_biases

EXAMPLES = [
    pytest.param(model, id=f"{type(rule).__name__}-{index}")
    for rule in rules()
    for index, model in enumerate(rule.examples())
]
LINEAR = sorted({name for rule in rules() for name in rule.ops if rule.ops[name].linear})
SUMMING = [*LINEAR, "Add", "Sub"]  # of which a fold rewrites what is summed


@pytest.mark.parametrize("model", EXAMPLES)
def test_the_norm_of_an_example_folds(model: ir.Model) -> None:
    folded = assert_folds(model)
    (site,) = folded.report.folded
    assert site.node in [node.name for node in model.graph]
    assert site.node not in [node.name for node in folded.model.graph]


def test_every_operator_of_a_rule_has_an_evaluator_for_its_opsets() -> None:
    for name, operator in operators().items():
        if operator.opsets is not None:
            (first, last), known = operator.opsets, EVALUATORS[name].opsets
            assert known[0] <= first and last <= known[1], name


@pytest.mark.parametrize("model", EXAMPLES)
def test_onnx_runtime_gives_the_same_before_and_after(model: ir.Model) -> None:
    """Another implementation than the one that folds and proves."""
    onnxruntime = pytest.importorskip("onnxruntime")
    feeds = feeds_for(model)
    before, after = (
        onnxruntime.InferenceSession(to_bytes(one)).run(None, feeds)
        for one in (model, fold_graph(model.clone()).model)
    )
    for old, new in zip(before, after, strict=True):
        # A dozen terms, each of a weight that the fold rounded once.
        np.testing.assert_allclose(new, old, rtol=0, atol=12 * 2.0**-23 * np.abs(old).max())


def test_every_operator_of_a_rule_is_in_an_example() -> None:
    for rule in rules():
        shown = {node.op_type for model in rule.examples() for node in model.graph}
        assert set(rule.ops) <= shown


@pytest.mark.parametrize("model", EXAMPLES)
def test_one_per_cent_of_any_folded_entry_is_seen(model: ir.Model) -> None:
    """Where it is saved, and where the fold computed it so: the first is no rounding of the exact
    number, the second is seen by comparing what both graphs compute. One entry of every row, of
    every column and so on along all axes."""
    folded = fold_graph(model.clone())
    assert folded.exact
    for name, right in {name: compute() for name, compute in folded.exact.items()}.items():
        for step in range(max(right.shape, default=1)):
            place = tuple(step % size for size in right.shape)
            wrong = right.copy()
            wrong[place] *= 1.01
            set_constant(folded.model, name, wrong)
            (problem,) = prove(model, folded).problems
            assert problem.place == name and f"at {list(place)}" in problem.text
            meant = replace(folded, exact={**folded.exact, name: Exact.held(wrong)})
            problem = prove(model, meant).problems[0]
            assert problem.differs and problem.place != name, f"{name}{list(place)}"
        set_constant(folded.model, name, right)
    assert prove(model, folded).passed


@pytest.mark.parametrize("model", EXAMPLES)
def test_a_right_fold_is_proven_where_the_terms_of_a_sum_cancel(model: ir.Model) -> None:
    for use in _folded_uses(model):
        if (cancelling := _cancelling(model, use)) is not None:
            folded = fold_graph(cancelling.clone())
            assert folded.report.folded
            proof = prove(cancelling, folded)
            assert proof.passed, proof.problems


def test_every_operator_that_sums_is_shown_with_terms_that_cancel() -> None:
    shown = {
        use.node.op_type
        for example in (param.values[0] for param in EXAMPLES)
        for use in _folded_uses(example)
        if _cancelling(example, use) is not None
    }
    assert set(SUMMING) <= shown


@pytest.mark.parametrize("model", EXAMPLES)
def test_a_bias_goes_where_the_rule_says(model: ir.Model) -> None:
    """One of ones moves each entry of the output by the same: 1, or Gemm's beta."""
    for node in model.graph:
        place = operator_named(node.op_type).bias
        if place is None or (isinstance(place, int) and _needs(node, place, model)):
            continue
        changed = model.clone()
        (linear,) = [n for n in changed.graph if n.name == node.name]
        if isinstance(place, int) and len(linear.inputs) > place:
            linear.resize_inputs(place)
        name = str(linear.outputs[0].name)
        changed.graph.outputs[:] = [linear.outputs[0]]
        before = run(changed, _feeds(model), stored)[name]
        add_biases(changed, [name])
        moved = run(changed, _feeds(model), stored)[name] - before
        beta = node.attributes.get("beta")
        np.testing.assert_allclose(moved, 1.0 if beta is None else beta.as_float(), rtol=1e-9)


def _needs(node: ir.Node, place: int, model: ir.Model) -> bool:
    """Whether an operator cannot be without this input, so that it never gains it."""
    return onnx.defs.get_schema(node.op_type, model.opset_imports[""]).min_input > place


@dataclass(frozen=True)
class _Use:
    """A constant that a fold rewrites, where an operator of the original reads it."""

    node: ir.Node
    index: int


def _folded_uses(model: ir.Model) -> Iterator[_Use]:
    names = {change.old for change in fold_graph(model.clone()).report.changes}
    for node in model.graph:
        for index, value in enumerate(node.inputs):
            if value is not None and value.name in names:
                yield _Use(node, index)


def _cancelling(model: ir.Model, use: _Use) -> ir.Model | None:
    """The model with another constant there: the nearest with which the operator gives nothing.

    The operator's output is A w + c in the entries w of the constant, and w loses what A w + c
    comes from. None where the output is no sum, as of a Gather, or where these entries are too few,
    as a bias under a padded convolution.
    """
    values: dict[str, np.ndarray] = {}
    run(
        model,
        _flat_feeds(model),
        stored,
        lambda node, found: values.update({str(v.name): a for v, a in found.items()}),
    )
    inputs = [
        None if v is None else values.get(str(v.name), stored(v) if v.is_initializer() else None)
        for v in use.node.inputs
    ]
    evaluate = Float64(model.opset_imports, model.ir_version)
    constant = inputs[use.index]
    assert constant is not None

    def output(entries: np.ndarray) -> np.ndarray:
        given = [*inputs]
        given[use.index] = entries.reshape(constant.shape)
        return evaluate.node(use.node, given)[0].ravel()

    w = constant.ravel()
    c = output(np.zeros_like(w))
    a = np.stack([output(unit) - c for unit in np.eye(w.size)], axis=1)
    if np.all(np.count_nonzero(a * w, axis=1) + (c != 0) < 2):
        return None
    w = (w - np.linalg.pinv(a) @ (a @ w + c)).astype(np.float32).astype(np.float64)
    if np.max(np.abs(a @ w + c)) > 1e-6 * np.max(np.abs(a) @ np.abs(w) + np.abs(c)):
        return None
    changed = model.clone()
    value = use.node.inputs[use.index]
    assert value is not None
    set_constant(changed, str(value.name), w.reshape(constant.shape))
    return changed


def _feeds(model: ir.Model) -> dict[str, np.ndarray]:
    """Random numbers; indices reach all nine rows of a table."""
    feeds = feeds_for(model)
    return {
        name: np.resize(np.arange(9), array.shape if array.size >= 9 else (3, 3))
        if array.dtype == np.int64
        else array
        for name, array in feeds.items()
    }


def _flat_feeds(model: ir.Model) -> dict[str, np.ndarray]:
    """The same number everywhere, so that one constant can cancel it everywhere."""
    return {
        name: np.full_like(array, 1.25) if array.dtype.kind == "f" else array
        for name, array in _feeds(model).items()
    }
