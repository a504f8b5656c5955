"""Whether a file that was given for UN folded is UN unfolded's network, and folded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.fold.report import FoldReport
from un_deploy.measure.equality.verify import verify
from un_deploy.pipeline.compare.remarks import some_quantised


def check_folded(
    unfolded: ir.Model, folded: ir.Model, fold: FoldReport, files: tuple[str, str], **settings: Any
) -> None:
    """Refuse another network, and one in which nothing is folded, which would be timed as if.

    Args:
        unfolded, folded: what was given for each.
        fold: of the first.
        files: where the two come from.
        settings: of `un_deploy.verify`.

    Raises:
        VerificationError: the two are not equal.
        InputError: the second has the operators of the first, of which some norms fold.
    """
    named = f"UN unfolded ({files[0]}) and UN folded ({files[1]})"
    try:
        verify(unfolded, folded, **settings).require()
    except VerificationError as error:
        remarks = some_quantised({"unfolded": unfolded, "folded": folded})
        raise VerificationError("; ".join((f"{named}: {error}", *remarks))) from error
    kinds = [Counter(node.op_type for node in model.graph) for model in (unfolded, folded)]
    if fold.folded and kinds[0] == kinds[1]:
        raise InputError(
            f"{named} have the same operators, but {len(fold.folded)} norms fold: nothing is "
            f"folded in the second; leave {argument('folded')} away to have it made"
        )
