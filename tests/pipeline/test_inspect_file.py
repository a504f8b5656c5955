"""`inspect` shows inputs and outputs of every kind, and what was odd about the file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.support.odd_files import WAYS
from un_deploy.pipeline.inspect_file import InspectReport, inspect_file


def inspected(name: str, folder: Path) -> InspectReport:
    onnx.save(WAYS[name]().model, folder / "m.onnx")
    return inspect_file(folder / "m.onnx")


@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("a_sequence_as_input", ["s: sequence of float32 (B, 3, 4)"], ["t: float32 (B, Z, 4)"]),
        ("a_sequence_as_output", [], ["s: sequence of float32 (B, 3, 5)"]),
        ("an_optional_as_input", ["o: optional float32 (2, 3, 4)"], ["h: bool ()"]),
        (
            "an_optional_sequence_as_input",
            ["s: optional sequence of float32 (2, 3, 4)"],
            ["h: bool ()"],
        ),
        ("maps_as_output", [], ["z: sequence of maps"]),
        ("a_map_as_input", ["w: map"], ["v: float32 (N)"]),
        ("an_input_of_unknown_rank", ["r: float32 (?)"], ["s: float32 (?)"]),
        ("strings_beside_the_fold", ["s: object (N)"], ["t: object (N)"]),
    ],
)
def test_inputs_and_outputs_of_every_kind(
    name: str, inputs: list[str], outputs: list[str], tmp_path: Path
) -> None:
    report = inspected(name, tmp_path)
    assert report.inputs == ("x: float32 (B, 3, 4)", *inputs)
    assert report.outputs == ("y: float32 (B, 3, 5)", *outputs)
    assert len(report.fold.folded) == 1


def test_sizes_without_a_number(tmp_path: Path) -> None:
    assert inspected("sizes_of_minus_one", tmp_path).inputs == ("x: float32 (?, 3, 4)",)
    assert inspected("an_output_without_a_type", tmp_path).outputs == ("y: ? (?)",)


def test_weights_that_the_caller_may_override_are_no_inputs_to_give(tmp_path: Path) -> None:
    report = inspected("weights_that_the_caller_may_override", tmp_path)
    assert report.inputs == ("x: float32 (B, 3, 4)",)


def test_what_was_odd_is_told(tmp_path: Path) -> None:
    notes = inspected("nodes_in_reverse", tmp_path).fold.notes
    assert len(notes) == 2 and "are sorted now" in notes[0] and "must be topologically" in notes[1]
