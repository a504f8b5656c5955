"""Whether a damage was seen, and its place named."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

import un_deploy
from tests.support.corruptor.corrupt import Damaged
from un_deploy.graph.fold.fold import Folded
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.measure.equality.verify import verify_fold


def unseen(original: ir.Model, damaged: Damaged) -> str:
    """What is wrong with the verdict on two models; empty where there is nothing.

    Seen is: no verdict that passes, and a problem at a place that may be named.
    """
    return _wrong(un_deploy.verify(original, damaged.model), damaged)


def unseen_by_the_proof(original: ir.Model, folded: Folded, damaged: Damaged) -> str:
    """The same of the proof alone, whose first problem must be there: what is told behind it may
    follow from it.
    """
    report = verify_fold(original, replace(folded, model=damaged.model))
    return _wrong(replace(report, problems=report.problems[:1]), damaged)


def _wrong(report: VerifyReport, damaged: Damaged) -> str:
    if report.passed:
        return f"{report.verdict}: {damaged.place.text}"
    if damaged.place.names.isdisjoint(problem.place for problem in report.problems):
        return f"not named: {damaged.place.text}; {report.verdict}: {report.problems[:3]}"
    return ""
