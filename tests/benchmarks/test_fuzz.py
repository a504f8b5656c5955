"""The fuzzer's run tells what came up, what did not, and every fault with its seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from benchmarks import fuzz
from tests.support.fuzzer.trial import Trial, try_graph

pytest.importorskip("onnxruntime")


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(fuzz, "RESULT", tmp_path / "fuzz.json")
    yield tmp_path / "fuzz.json"


def ran(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(fuzz.main, ["--processes", "1", *arguments])
    return done.exit_code, done.output


def test_a_few_graphs_are_right_but_not_all_that_should_come_up_does(result: Path) -> None:
    code, said = ran("--graphs", "4", "--first", "1")
    found = json.loads(result.read_text())
    assert (found["graphs"], found["judged"], found["verified"]) == (4, 4, 0)
    assert not any(found["faults"].values())
    assert sum(found["types"].values()) == sum(found["opsets"].values()) == 4
    assert "Loop reading a cancelled layout" in found["lacking"] and code == 1
    assert "did not come up: Loop reading a cancelled layout" in said
    assert "4 graphs, seeds from 1 on" in result.with_suffix(".md").read_text()


def test_a_fault_is_told_with_its_seed(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tried(*given: Any, **options: Any) -> Trial:
        trial = try_graph(*given, **options)
        trial.faults["wrong answer"] = "output 0 is off by 1"
        return trial

    monkeypatch.setattr(fuzz, "try_graph", tried)
    code, said = ran("--graphs", "1", "--first", "7")
    assert code == 1 and "seed 7: wrong answer: output 0 is off by 1" in said
    assert json.loads(result.read_text())["faults"]["wrong answer"] == [
        "seed 7: output 0 is off by 1"
    ]
    page = result.with_suffix(".md").read_text()
    assert "- wrong answer, seed 7: output 0 is off by 1" in page


def test_one_seed_is_replayed_and_kept(result: Path, tmp_path: Path) -> None:
    code, said = ran("--seed", "3", "--save", str(tmp_path / "kept"))
    assert code == 0 and "opset" in said and "of what is allowed" in said
    assert not result.exists()
    original, folded = (onnx.load(tmp_path / "kept" / f"{n}.onnx") for n in ("original", "folded"))
    assert len(folded.graph.node) <= len(original.graph.node)
