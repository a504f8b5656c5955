"""Whether a damage was seen, and its place named."""

from __future__ import annotations

import onnx_ir as ir

import un_deploy
from tests.support.corruptor.corrupt import Damaged


def unseen(original: ir.Model, damaged: Damaged) -> str:
    """What is wrong with the verdict on a damaged model; empty where there is nothing.

    Seen is: no verdict that passes, and a problem at an operator or constant that may be named.
    """
    report = un_deploy.verify(original, damaged.model)
    if report.passed:
        return f"{report.verdict}: {damaged.place.text}"
    if damaged.place.names.isdisjoint(problem.place for problem in report.problems):
        return f"not named: {damaged.place.text}; {report.verdict}: {report.problems[:3]}"
    return ""
