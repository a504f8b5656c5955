"""From an ONNX file to the same network with its norms taken out, which changes answers."""

from __future__ import annotations

import os
from collections.abc import Collection

from un_deploy.graph.model.model_file import check_target, save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.strip.strip import StripReport, strip_graph


def strip_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    nodes: Collection[str] | None = None,
    force: bool = False,
) -> StripReport:
    """Take the norms out of a file. See `un_deploy.graph.strip.strip.strip`.

    Args:
        source: an ONNX file.
        target: where the result goes.
        nodes: the norms to take out, each named by an operator of it, or by its module; None: all
            that are known to be norms.
        force: replace a target that exists.

    Raises:
        InputError: the source cannot be read, or a name is no norm.
        TargetError: the target exists or cannot be written.
    """
    check_target(target, force=force)
    model, _ = to_ir(source)
    report = strip_graph(model, nodes=nodes)
    save_model(model, target, force=force)
    return report
