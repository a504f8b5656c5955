"""What must hold before a cell's times mean anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import fx

from benchmarks.gpu.networks import ROWS
from un_deploy.errors import UnDeployError
from un_deploy.graph.analysis.floating import widen
from un_deploy.measure.equality.outputs import relative_error
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.wording import EQUAL

TOLERANCE = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1, "TF32": 2e-2}
"""Of max |output - reference| / max |reference|, the reference in float32. TF32 rounds the operands
of a product to 11 bits, as float16 does."""

AS_FAST = f"folded / no norm within {EQUAL:.0%}"


class RefusedError(UnDeployError):
    """A cell whose times would mislead; one line says why."""


@dataclass(frozen=True)
class Gate:
    """What was asked, whether it holds (None: it could not be told), and what that rests on."""

    name: str
    passed: bool | None
    found: str
    variant: str | None = None


def no_norm_left(folded: fx.GraphModule, none: fx.GraphModule) -> Gate:
    """The folded graph calls what the graph that never had a norm calls, and nothing else."""
    ours, theirs = calls(folded), calls(none)
    told = [f"{n} {name} more" for name, n in sorted((ours - theirs).items())]
    told += [f"{n} {name} fewer" for name, n in sorted((theirs - ours).items())]
    found = ", ".join(told) or f"{sum(ours.values())} calls each"
    return Gate("folded calls what no norm calls", not told, found)


def calls(module: fx.GraphModule) -> Counter[str]:
    """What a graph calls, and how often."""
    nodes = [n for n in module.graph.nodes if n.op in ("call_function", "call_method")]
    return Counter(n.target if isinstance(n.target, str) else n.target.__name__ for n in nodes)


def answers(variant: str, outputs: Sequence[np.ndarray], reference: Path, precision: str) -> Gate:
    """Outputs are finite, and those of the float32 graph within the precision's rounding.

    Args:
        variant: what gave them.
        outputs: of all rows.
        reference: the file with the outputs of the first rows.
        precision: in which the outputs were computed.
    """
    most = TOLERANCE[precision]
    with np.load(reference) as archive:
        wanted = [widen(array) for array in archive.values()]
    # Every ROWS rows the inputs are the same again.
    rows = [row for row in range(len(outputs[0])) if row % ROWS < len(wanted[0])]
    same = [array[[row % ROWS for row in rows]] for array in wanted]
    errors = [relative_error(w, out[rows]) for w, out in zip(same, outputs, strict=True)]
    if not all(np.isfinite(out).all() for out in outputs):
        return Gate("answers", False, "an output is not finite", variant)
    found = f"{max(errors):.1e} from the float32 outputs, at most {most:.0e}"
    return Gate("answers", max(errors) <= most, found, variant)


def as_fast(found: Interval) -> Gate:
    """The interval of folded over no norm lies within 2 % of 1."""
    text = f"{found.ratio:.4f} [{found.low:.4f}, {found.high:.4f}]"
    if found.attained < found.confidence:
        return Gate(AS_FAST, None, f"{text}, too few rounds")
    apart = found.low > 1 + EQUAL or found.high < 1 - EQUAL
    return Gate(AS_FAST, True if found.within(EQUAL) else False if apart else None, text)


def layer_norm_kernels(kernels: Mapping[str, int], norms: int) -> Gate:
    """LN costs one kernel a norm above no norm: PyTorch's own, not its parts."""
    name = "one kernel for each LN"
    if not {"ln", "none"} <= kernels.keys():
        return Gate(name, None, "no profile")
    more = kernels["ln"] - kernels["none"]
    return Gate(name, more == norms, f"{more} kernels for {norms} norms")
