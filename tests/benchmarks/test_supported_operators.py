"""The table of operators in docs/how-folding-works.md is what the rules say."""

from __future__ import annotations

from benchmarks.supported_operators import PAGE, markdown, page
from un_deploy.graph.fold.rules import rules


def test_the_page_holds_what_the_rules_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(markdown()), (
        "python -m benchmarks.supported_operators writes it"
    )


def test_every_operator_of_a_rule_is_in_it_with_its_guard() -> None:
    rows = dict(line.split("|", 2)[1:] for line in markdown().splitlines()[2:])
    operators = {name: operator for rule in rules() for name, operator in rule.ops.items()}
    assert {name.strip() for name in rows} == set(operators)
    assert all(operator.guard in rows[f" {name} "] for name, operator in operators.items())
    assert all(operator.guard for operator in operators.values())


def test_what_is_known_of_some() -> None:
    """A ConvTranspose takes a shift behind it, a Relu none at all, a MatMul everything."""
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[3:5]]
        for line in markdown().splitlines()[2:]
    }
    assert cells["ConvTranspose"] == ["absorbs scale", "absorbs scale and shift"]
    assert cells["MatMul"] == ["absorbs scale and shift"] * 2
    assert cells["Relu"] == ["scale", "scale"]
    assert cells["MaxPool"] == ["scale and shift"] * 2
