"""The table of what norms cost on a CPU, and that what is measured again replaces what was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import entries, recipes_on_cpu


def measured(model: str, ratio: float) -> dict[str, Any]:
    def told(of: str, to: str, form: str = "") -> dict[str, Any]:
        ends = {"low": ratio - 0.01, "high": ratio + 0.01}
        return {"of": of, "to": to, "form": form, "ratio": ratio, **ends, "builds": 5}

    return {
        "model": model,
        "norms": "ln,un,dyt",
        "batch": 1,
        "inputs": {"x": [1, 3]},
        "runtime": "ONNX Runtime 1.32",
        "threads": 1,
        "ratios": [told("ln", "folded"), told("dyt", "folded", "folded"), told("folded", "folded")],
        "environment": {"cpu": "a processor"},
    }


def test_a_page_has_the_machine_and_every_ratio() -> None:
    lines = recipes_on_cpu.page([measured("net.py:net", 1.05)]).splitlines()
    assert "ONNX Runtime 1.32, 1 threads, on a processor; x [1, 3]." in lines
    assert lines[-3:] == [
        "| LN | UN folded | 1.050 | 1.040 to 1.060 | 5 |",
        "| DyT, folded | UN folded | 1.050 | 1.040 to 1.060 | 5 |",
        "| UN folded | itself (A/A) | 1.050 | 1.040 to 1.060 | 5 |",
    ]


def test_what_is_measured_again_replaces_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes_on_cpu, "RESULT", tmp_path / "result.json")
    for model, ratio in (("a.py:a", 1.1), ("b.py:b", 1.2), ("a.py:a", 1.3)):
        recipes_on_cpu.write(measured(model, ratio))
    found = entries.read(tmp_path / "result.json")
    assert [(one["model"], one["ratios"][0]["ratio"]) for one in found] == [
        ("a.py:a", 1.3),
        ("b.py:b", 1.2),
    ]
    page = (tmp_path / "result.md").read_text()
    assert "1.300" in page and "1.100" not in page


@pytest.mark.parametrize("norms", ["ln,gn", "un,un"])
def test_norms_that_are_none(norms: str) -> None:
    result = CliRunner().invoke(recipes_on_cpu.main, ["net.py:net", "--norms", norms])
    assert result.exit_code == 2
    assert "is no list of ln, rms, bn, un, dyt, derf, none, each once" in result.output
