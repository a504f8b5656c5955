"""From a model in memory to its file, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

from un_deploy.arguments.check import checked
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir


@checked
def save(model: Any, target: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a model, as `fold` and `strip` give it, to an ONNX file.

    Weights that a file of ONNX cannot hold go into a second one beside it. onnx.save and
    onnx_ir.save write the file as well; a model that was read from a path keeps its weights there
    until it is saved, so it is saved before that file changes.

    Args:
        model: an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph; or a path.
        target: the file to write.
        force: replace a target that exists.

    Raises:
        InputError: the model is not valid.
        TargetError: the target exists or cannot be written.
    """
    save_model(to_ir(model)[0], target, force=force)
