"""One file per operator family; a file with a `RULE` in it is found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir

    from un_deploy.graph.fold.rules.protocol import Rule


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of their files' names."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    return tuple(module.RULE for module in modules if hasattr(module, "RULE"))


def rule_for(node: ir.Node, opset: int) -> Rule | None:
    """The rule that knows this operator at this opset, if any."""
    if node.domain:
        return None
    return next(
        (r for r in rules() if node.op_type in r.ops and _knows(r.ops[node.op_type], opset)), None
    )


def _knows(bounds: tuple[int, int], opset: int) -> bool:
    first, last = bounds
    return first <= opset <= last
