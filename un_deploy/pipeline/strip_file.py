"""From an ONNX file to the same network with its norms taken out, which changes answers."""

from __future__ import annotations

import os
from collections.abc import Collection

from un_deploy.files import check_target
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.strip.strip import StripReport, strip_graph


def strip_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    nodes: Collection[str] | None = None,
    force: bool = False,
) -> StripReport:
    """Take the norms out of an ONNX file; see `un_deploy.graph.strip.strip.strip`.

    With `force`, a target that exists is replaced.

    Raises:
        InputError: the source cannot be read, or a name is no norm.
        TargetError: the target exists or cannot be written.
    """
    check_target(target, force=force)
    model, _ = to_ir(source)
    report = strip_graph(model, nodes=nodes)
    save_model(model, target, force=force)
    return report
