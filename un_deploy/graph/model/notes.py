"""What a reader of a report should know of a model's file, kept beside the model."""

from __future__ import annotations

import onnx_ir as ir

_NOTES = "un_deploy.notes"


def notes_of(model: ir.Model) -> tuple[str, ...]:
    """What was odd about its file and what was made of that, a sentence each."""
    found: tuple[str, ...] = model.meta.get(_NOTES, ())
    return found


def add_notes(model: ir.Model, notes: tuple[str, ...]) -> None:
    """Keep these too, each once."""
    if notes:
        model.meta[_NOTES] = tuple(dict.fromkeys((*notes_of(model), *notes)))
