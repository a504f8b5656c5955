"""The swap that docs/training.md shows, run as it stands but for the steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import onnx  # noqa: E402

from un_deploy import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch
PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
SWAP = PAGE[PAGE.index("## Swapping") : PAGE.index("## In the place of")]
PYTHON = re.findall(r"```python\n(.*?)```", SWAP, flags=re.DOTALL)
TOLD = r"step \d+: training (\d+\.\d+), evaluation (\d+\.\d+), test \d+\.\d%"


def test_the_python_of_the_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    in_hand: dict[str, Any] = {}
    network, swap, training, export = PYTHON
    for block in (network, swap, training.replace("steps=400", "steps=60"), export):
        exec(block, in_hand)

    report, model = in_hand["report"], in_hand["with_un"]
    assert len(report.converted) == 5 and report.left == {}
    assert sum(isinstance(module, UnifiedNorm) for module in model.modules()) == 5
    lines = capsys.readouterr().out.splitlines()
    told = [float(loss) for line in lines for two in re.findall(TOLD, line) for loss in two]
    assert len(told) == 2 * 2 * 2
    assert told[2] < told[0] < 2.5 and told[6] < told[4] < 2.5  # both learn
    assert abs(told[6] - told[7]) < 0.1 * told[6]  # evaluation as training
    graph = onnx.load("small.onnx").graph
    assert "LayerNormalization" not in {node.op_type for node in graph.node}


def test_the_output_is_in_the_form_that_is_printed() -> None:
    shown = SWAP[SWAP.index("```\nLN\n") :].split("```")[1].strip().splitlines()
    assert [line for line in shown if not re.fullmatch(TOLD, line)] == ["LN", "UN"]
    assert len(shown) == 6


def test_the_links_lead_somewhere() -> None:
    docs = Path(__file__).parents[2] / "docs"
    for link in re.findall(r"\]\(([^)]*)\)", SWAP):
        page, _, anchor = link.partition("#")
        text = (docs / page).read_text(encoding="utf-8") if page else PAGE
        titles = [
            re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
        ]
        assert not anchor or anchor in titles, link
