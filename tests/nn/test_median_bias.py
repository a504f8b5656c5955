"""The committed figures on heavy tails: measured anew in small, and as the docs show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from benchmarks import median_bias  # noqa: E402

pytestmark = pytest.mark.torch

ROWS = json.loads(median_bias.RESULT.read_text(encoding="utf-8"))["rows"]
FIGURES = ("running_var", "v_of_training", "evaluation_over_training")


@pytest.mark.parametrize("row", [row for row in ROWS if row["tokens"] == 16], ids=str)
def test_fewer_channels_and_batches_give_nearly_the_figures(
    row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(median_bias, "CHANNELS", 256)
    monkeypatch.setattr(median_bias, "BATCHES", 60)
    found = median_bias.measure(*median_bias.DISTRIBUTIONS[row["distribution"]], row["tokens"])
    for name in FIGURES[:2]:
        assert found[name] == pytest.approx(row[name], abs=0.03), name
    assert found[FIGURES[2]] == pytest.approx(row[FIGURES[2]], rel=0.15)


def test_the_page_shows_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for row in ROWS:
        figures = " | ".join(f"{row[name]:.2f}" for name in FIGURES)
        assert f"| {row['distribution']} | {row['tokens']:,} | {figures} |" in page
