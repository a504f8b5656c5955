"""Signatures and arrays of two graphs: how they differ, in figures."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.proof.proof import Problem
from un_deploy.runtime.in_double import widen

Array = np.ndarray


def signature_problems(first: ir.Model, second: ir.Model, *, shapes: bool) -> list[Problem]:
    """Where the inputs and outputs of two graphs differ: names, order, types.

    With `shapes` also the declared shapes, with the names of dynamic dimensions.
    """
    problems = []
    for kind in ("inputs", "outputs"):
        old, new = (list(getattr(m.graph, kind)) for m in (first, second))
        names = [[value.name for value in values] for values in (old, new)]
        if names[0] != names[1]:
            text = f"the {kind} are {names[1]}, the original's {names[0]}"
            problems.append(Problem(kind, text))
            continue
        for a, b in zip(old, new, strict=True):
            what, name = kind[:-1], str(a.name)
            if a.dtype != b.dtype:
                text = f"{what} {name!r} is {b.dtype}, the original's {a.dtype}"
                problems.append(Problem(name, text))
            elif shapes and _dims(a) != _dims(b):
                text = f"{what} {name!r} is {_dims(b)}, the original's {_dims(a)}"
                problems.append(Problem(name, text))
    return problems


def relative_error(expected: Array, found: Array) -> float:
    """max |found - expected| / max |expected|, over finite entries; of integers the unequal share.

    Entries that are NaN in both, or the same infinity, are equal. Infinite where shapes differ, or
    where an entry is not finite in one alone.
    """
    if found.shape != expected.shape:
        return float("inf")
    expected, found = widen(expected), widen(found)
    if expected.dtype.kind != "f":
        return float(np.mean(found != expected)) if expected.size else 0.0
    if found.dtype.kind != "f":
        return float("inf")
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    finite = np.isfinite(expected) & np.isfinite(found)
    if not np.all(same | finite):
        return float("inf")
    scale = float(np.max(np.abs(expected), where=finite, initial=0.0))
    with np.errstate(invalid="ignore"):
        difference = np.max(np.abs(found - expected), where=finite, initial=0.0)
    return float(difference) / (scale or 1.0)


def _dims(value: ir.Value) -> list[int | str | None] | None:
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]
