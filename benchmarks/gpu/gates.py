"""What must hold before a cell's times mean anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import fx

from un_deploy.measure.speed.statistics import Interval
from un_deploy.runtime.torch_graph.recognize import counts

WITHIN = 0.02
"""How far from 1 the interval of folded over no norm may reach."""

TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
"""Of ||output - reference|| / ||reference||, the reference in float32."""


@dataclass(frozen=True)
class Gate:
    """What was asked and found.

    Attributes:
        name: what was asked.
        passed: None where it could not be told.
        found: what it rests on.
        variant: of which, where it is about one.
    """

    name: str
    passed: bool | None
    found: str
    variant: str | None = None


def alike(modules: Mapping[str, fx.GraphModule]) -> Gate:
    """Attention, linear and GELU are recognised equally often in all variants."""
    found = {name: counts(module) for name, module in modules.items()}
    told = {name: ", ".join(f"{n} {kind}" for kind, n in c.items()) for name, c in found.items()}
    if len(set(told.values())) <= 1:
        return Gate("fusions alike", True, next(iter(told.values()), "nothing"))
    return Gate("fusions alike", False, "; ".join(f"{name}: {text}" for name, text in told.items()))


def no_norm_left(folded: fx.GraphModule, none: fx.GraphModule) -> Gate:
    """The folded graph calls what the graph that never had a norm calls, and nothing else."""
    ours, theirs = calls(folded), calls(none)
    more, fewer = ours - theirs, theirs - ours
    told = [f"{n} {name} more" for name, n in sorted(more.items())]
    told += [f"{n} {name} fewer" for name, n in sorted(fewer.items())]
    return Gate(
        "folded calls what no norm calls",
        not told,
        ", ".join(told) or f"{sum(ours.values())} calls each",
    )


def calls(module: fx.GraphModule) -> Counter[str]:
    """What a graph calls, and how often."""
    nodes = [n for n in module.graph.nodes if n.op in ("call_function", "call_method")]
    return Counter(n.target if isinstance(n.target, str) else n.target.__name__ for n in nodes)


def answers(
    variant: str,
    outputs: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    precision: str,
    *,
    finite: bool = True,
) -> Gate:
    """Outputs are finite, and those of the float32 graph within the precision's rounding."""
    worst = max(error(outputs[name], wanted) for name, wanted in reference.items())
    if not finite or not np.isfinite(worst):
        return Gate("answers", False, "an output is not finite", variant)
    found = f"{worst:.1e} from the float32 outputs, at most {TOLERANCE[precision]:.0e}"
    return Gate("answers", worst <= TOLERANCE[precision], found, variant)


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """||got - wanted|| / ||wanted||."""
    wanted = wanted.astype(np.float64)
    return float(np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), 1e-30))


def as_fast(found: Interval | None) -> Gate:
    """The interval of folded over no norm lies within 2 % of 1."""
    name = f"folded / no norm within {WITHIN:.0%}"
    if found is None:
        return Gate(name, None, "no interval")
    text = f"{found.ratio:.4f} [{found.low:.4f}, {found.high:.4f}]"
    if found.within(WITHIN):
        return Gate(name, True, text)
    apart = found.low > 1 + WITHIN or found.high < 1 - WITHIN
    sure = found.attained >= found.confidence
    return Gate(
        name, False if apart and sure else None, text + ("" if sure else ", too few rounds")
    )


def layer_norm_kernels(kernels: Mapping[str, int | None], norms: int) -> Gate:
    """LN costs one kernel a norm above no norm: PyTorch's own, not its parts."""
    ln, none = kernels.get("ln"), kernels.get("none")
    if ln is None or none is None:
        return Gate("one kernel for each LN", None, "no profile")
    return Gate(
        "one kernel for each LN", ln - none == norms, f"{ln - none} kernels for {norms} norms"
    )
