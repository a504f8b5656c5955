"""Reasons are read from the source of the fold, and found again in what a report tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fuzzer.reasons import reasons, told
from tests.support.fuzzer.unreached import REASONS
from tests.support.graphs import NORM, build
from un_deploy.graph.fold.fold import fold_graph

ROOT = Path(__file__).parents[3]
NAMES = {reason.name for reason in reasons()}
SIGNATURE = "float[B,3,4] x, bool c => float[B,3,5] y"


@pytest.mark.parametrize(
    "name",
    [
        "rules/pad: its widths are computed",
        "rules/activation: the scale is negative in channel _, and it bends at zero",
        "rules/resize: it resizes along an axis on which the scale varies",
        "solving/ranges: _ would be scaled by _ in channel _, too far from 1 for _",
        "sites/affine_steps: its parameters are not constant",
        "graph_view: _ is a graph _",
        "site: kept, as asked",
    ],
)
def test_a_refusal_its_helpers_texts_and_what_functions_return(name: str) -> None:
    assert name in NAMES


def test_there_is_a_reason_in_every_rule_that_refuses() -> None:
    files = {reason.file for reason in reasons()}
    for path in (ROOT / "un_deploy" / "graph" / "fold" / "rules").glob("*.py"):
        if 'raise Refuse("' in path.read_text():
            assert f"rules/{path.stem}" in files


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "y = MatMul(n, z)",
            "rules/product: it is no product of a computed and a constant operand",
        ),
        ("r = Relu(n) y = MatMul(r, w)", "rules/activation: it bends at zero, which a shift would"),
        ("t = Tanh(n) y = MatMul(t, w)", "solving/propagate: _ (_) does not commute with a scale"),
    ],
)
def test_a_report_tells_why_a_norm_stays(body: str, expected: str) -> None:
    signature = SIGNATURE.replace("bool c", "float[B,4,5] z")
    weights = {"w": (4, 5)} if "w)" in body else {}
    report = fold_graph(build(signature, f"{NORM} {body}", a=(4,), b=(4,), **weights)).report
    found = [reason.name for reason in told(report)]
    assert sum(name.startswith(expected) for name in found) == 1
    assert "graph_view: _ is a graph _" in found and not any("pad" in name for name in found)


def test_what_is_not_reached_is_a_reason_and_has_a_test() -> None:
    assert set(REASONS) <= NAMES
    for name, why in REASONS.items():
        words = name.partition(": ")[2].partition(";")[0].split("_")
        assert max(words, key=len).strip() in (ROOT / why.rpartition(": ")[2]).read_text(), name
