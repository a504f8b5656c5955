"""The fuzzer draws the same graph for the same seed, and its judge sees a fold that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.fuzzer.drawing.generate import Fuzzed, fuzzed
from tests.support.fuzzer.feeds import feeds
from tests.support.fuzzer.trial import Trial, try_graph
from tests.support.fuzzer.widen import widened
from tests.support.graphs import NORM, build
from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.rules import rules
from un_deploy.graph.fold.rules.protocol import Rule

pytest.importorskip("onnxruntime")


@cache
def graphs() -> list[Fuzzed]:
    return [fuzzed(seed) for seed in range(120)]


Change = Callable[[Edit], Edit | None]


def test_the_same_seed_gives_the_same_graph() -> None:
    first, again = fuzzed(3), fuzzed(3)
    assert first.model.SerializeToString() == again.model.SerializeToString()
    assert first.model.SerializeToString() != fuzzed(4).model.SerializeToString()


def test_every_graph_is_valid_and_has_its_type_and_opset() -> None:
    for graph in graphs():
        onnx.checker.check_model(graph.model, full_check=True)
        assert graph.model.opset_import[0].version == graph.opset
    assert {graph.dtype for graph in graphs()} == {"float", "float16", "bfloat16", "double"}
    newest = onnx.defs.onnx_opset_version()
    assert {11, newest} <= {graph.opset for graph in graphs()}


def test_feeds_have_other_sizes_and_override_initializers_once() -> None:
    model = ir.to_proto(build("float[B,3] x, float[3] a => float[B,3] y", "y = Mul(x, a)", a=(3,)))
    given = list(feeds(model, 0))
    assert [one["x"].shape for one in given] == [(2, 3), (3, 3), (1, 3), (0, 3)]
    assert ["a" in one for one in given] == [False, True, False, False]


def test_a_widened_graph_has_no_half_type() -> None:
    body = f"{NORM} k = Cast<to=10>(n) y = MatMul(k, w)"
    text = "float16[B,4] x => float16[B,5] y"
    model = build(text, body, dtype=np.float16, a=(4,), b=(4,), w=(4, 5))
    wide = widened(ir.to_proto(model))
    assert {tensor.data_type for tensor in wide.graph.initializer} == {onnx.TensorProto.FLOAT}
    assert wide.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert wide.graph.node[2].attribute[0].i == onnx.TensorProto.FLOAT


def wrong(name: str) -> list[Trial]:
    """Up to four trials whose answers ONNX Runtime found wrong, of graphs that hold an operator.

    Nobody proves them.
    """
    having = [g for g in graphs() if any(node.op_type == name for node in g.model.graph.node)]
    assert len(having) >= 20
    trials = (try_graph(graph, proof=False) for graph in having[:20])
    return list(islice((trial for trial in trials if "wrong answer" in trial.faults), 4))


def broken(rule: Rule, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a rule give other edits than it should."""
    right = type(rule).edits

    def edits(self: Rule, *given: object) -> Iterator[Edit]:
        for edit in right(self, *given):  # type: ignore[arg-type]
            other = change(edit)
            if other is not None:
                yield other

    monkeypatch.setattr(type(rule), "edits", edits)


def without_factor(edit: Edit) -> Edit | None:
    """The weight is left as it was."""
    return None if isinstance(edit, SetConstant) and edit.index == 1 else edit


def shift_negated(edit: Edit) -> Edit | None:
    return replace(edit, compute=lambda: -edit.compute()) if isinstance(edit, AddBias) else edit


def one_per_cent_off(edit: Edit) -> Edit | None:
    """In a single entry of a weight."""
    if not isinstance(edit, SetConstant):
        return edit

    def compute() -> np.ndarray:
        array = np.array(edit.compute())
        array.flat[0] *= 1.01
        return array

    return replace(edit, compute=compute)


def test_what_nobody_broke_is_right() -> None:
    assert wrong("MatMul") == []


@pytest.mark.parametrize(
    "name, change",
    [
        ("MatMul", without_factor),
        ("MatMul", shift_negated),
        ("MatMul", one_per_cent_off),
        ("Conv", without_factor),
        ("Gemm", without_factor),
    ],
)
def test_a_broken_rule_gives_wrong_answers(
    name: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rule,) = (rule for rule in rules() if name in rule.ops)
    broken(rule, change, monkeypatch)
    found = wrong(name)
    assert len(found) == 4
    assert all("off by" in trial.faults["wrong answer"] for trial in found)
