"""What makes the run of `make networks` fail, and what its page tells."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

from benchmarks.networks.page import faults, page
from benchmarks.networks.stays import STAYS, why
from tests.support.networks.zoo import NETWORKS

GOOD: dict[str, Any] = {
    "cause": None,
    "proven": True,
    "problems": [],
    "to_original": 1e-7,
    "to_pytorch": 2e-7,
    "norms": 5,
    "folded": 5,
    "others_folded": 1,
    "stayed": [],
    "unseen": {},
    "more": {"Add": 2},
}


def entry(name: str = "BERT", **changes: Any) -> dict[str, Any]:
    """A network in ten modes, of which one is changed."""
    cells = {f"mode {number}": GOOD for number in range(9)}
    return {"network": name, "cells": {**cells, "mode 9": {**GOOD, **changes}}}


def stays(label: str) -> list[dict[str, Any]]:
    return [{"label": label, "norm": True, "reason": "a guard"}]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"to_original": 2e-4}, "BERT, mode 9: differs by 2.0e-04"),
        ({"to_pytorch": float("nan")}, "BERT, mode 9: differs by nan"),
        ({"proven": False, "problems": ["there"]}, "BERT, mode 9: not proven: there"),
        ({"unseen": {"ln": 1}}, "BERT, mode 9: ln is neither folded nor told of"),
        ({"stayed": stays("ln")}, "BERT, mode 9: ln stays: a guard"),
        ({"cause": "a traceback", "traceback": "..."}, "BERT, mode 9: a traceback"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], fault: str) -> None:
    assert fault in faults([entry(**changes)])


def test_a_refusal_with_its_cause_is_no_fault_while_nine_of_ten_are_proven() -> None:
    refused = {"cause": "the exporter cannot"}
    assert faults([entry(**refused)]) == []
    more = {"network": "T5", "cells": {"mode 0": refused}}
    assert faults([entry(**refused), more]) == ["9 of 11 cells are proven; 90% are to be"]


def test_what_is_on_the_closed_list_may_stay_there_and_nowhere_else() -> None:
    label = "model.encoder.layer_norm"
    assert faults([entry("Whisper", stayed=stays(label))]) == []
    assert faults([entry("BART", stayed=stays(label))]) == [
        "BART, mode 9: model.encoder.layer_norm stays: a guard"
    ]


def test_every_line_of_the_list_is_of_a_network_and_has_a_reason() -> None:
    for one in STAYS:
        assert any(why(name, one.modules) == one.why for name in NETWORKS), one
        assert len(one.why.split()) > 5


def test_the_page_has_a_row_for_each_network_and_the_causes() -> None:
    refused = entry("T5", cause="the exporter cannot")
    lines = page([entry(), refused], {"torch": "2.13.0"}).splitlines()
    row = next(line for line in lines if line.startswith("| T5 "))
    assert row.count("5 of 5") == 9 and "not exported" in row
    assert "- T5 (mode 9): the exporter cannot" in lines
    assert any("95 of 95 norms folded" in line for line in lines)
