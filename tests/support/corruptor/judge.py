"""Whether a damage was seen, and its place named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import onnx_ir as ir

from tests.support.corruptor.corrupt import Damaged
from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.proof.proof import Problem
from un_deploy.graph.proof.prove import prove


def unseen(original: ir.Model, folded: Folded, damaged: Damaged) -> str:
    """What is wrong with the verdict on a damaged model; empty where there is nothing."""
    problems = _problems(original, folded, damaged.model)
    if not problems:
        return f"passed: {damaged.place.text}"
    if damaged.place.names.isdisjoint(problem.place for problem in problems):
        told = "; ".join(f"{problem.place} {problem.text}" for problem in problems[:3])
        return f"not named: {damaged.place.text}, told: {told}"
    return ""


def _problems(original: ir.Model, folded: Folded, damaged: ir.Model) -> Sequence[Problem]:
    return prove(original, replace(folded, model=damaged)).problems
