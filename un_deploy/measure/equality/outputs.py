"""Signatures and arrays of two graphs: how they differ, in figures."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.floating import widen
from un_deploy.graph.proof.proof import Problem
from un_deploy.measure.equality.record import Called

Array = np.ndarray


def signature_problems(first: ir.Model, second: ir.Model, called: Called) -> list[Problem]:
    """Why two graphs cannot be run on the same inputs: names, order, types of inputs and outputs.

    A proof asks for more, the declared shapes too (`un_deploy.graph.proof.same_signature`).

    Args:
        called: the two, in the texts.
    """
    problems = []
    for kind in ("inputs", "outputs"):
        old, new = (list(getattr(m.graph, kind)) for m in (first, second))
        names = [[value.name for value in values] for values in (old, new)]
        if names[0] != names[1]:
            text = f"the {kind} of {called.other} are {names[1]}"
            problems.append(Problem(kind, f"{text}, those of {called.original} {names[0]}"))
            continue
        for a, b in zip(old, new, strict=True):
            if a.dtype != b.dtype:
                end = f"the {kind[:-1]} {a.name!r}"
                text = f"{end} of {called.other} is {b.dtype}, that of {called.original} {a.dtype}"
                problems.append(Problem(str(a.name), text))
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
