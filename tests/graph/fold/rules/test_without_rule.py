"""The table of operators without a rule holds ONNX's operators, and none that a rule knows."""

from __future__ import annotations

import onnx

from un_deploy.graph.fold.rules import operator_named, operators, rules
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.without_rule import OPERATORS


def test_no_operator_stands_twice() -> None:
    of_rules = [name for rule in rules() for name in rule.ops]
    assert len(of_rules) == len(set(of_rules))
    assert not set(of_rules) & set(OPERATORS)
    assert set(operators()) == {*of_rules, *OPERATORS}


def test_all_are_operators_of_onnx() -> None:
    newer = {"Swish"}  # than the oldest onnx that is supported
    assert [name for name in operators() if not onnx.defs.has(name)] in ([], [*newer])


def test_without_a_rule_nothing_is_linear_or_absorbs() -> None:
    assert not any(one.absorbs or one.opsets for one in OPERATORS.values())
    assert all(one.opsets for rule in rules() for one in rule.ops.values())


def test_of_an_unknown_operator_nothing_is_known() -> None:
    assert operator_named("Nonsense") == Operator()
    assert operator_named("Nonsense").group == "other"
