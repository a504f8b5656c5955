"""What every rule must do on the examples that its file gives."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.support.graphs import assert_folds
from un_deploy.graph.fold.rules import rules

EXAMPLES = [
    pytest.param(model, id=f"{type(rule).__name__}-{index}")
    for rule in rules()
    for index, model in enumerate(rule.examples())
]


@pytest.mark.parametrize("model", EXAMPLES)
def test_the_norm_of_an_example_folds(model: ir.Model) -> None:
    folded = assert_folds(model)
    (site,) = folded.report.folded
    assert site.node in [node.name for node in model.graph]
    assert site.node not in [node.name for node in folded.model.graph]


def test_every_operator_of_a_rule_is_in_an_example() -> None:
    for rule in rules():
        shown = {node.op_type for model in rule.examples() for node in model.graph}
        assert set(rule.ops) <= shown
