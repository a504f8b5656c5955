"""Folds one random graph, has the fold proven and judged, and tells what came of it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from tests.support.fuzzer.drawing.draft import TYPES
from tests.support.fuzzer.drawing.generate import Fuzzed
from tests.support.fuzzer.feeds import feeds
from tests.support.fuzzer.judge import judge
from tests.support.fuzzer.passed import view_of
from tests.support.fuzzer.seen import Seen
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.checks import check_model
from un_deploy.graph.proof.prove import prove
from un_deploy.measure.equality.verify import verify

_KEEPING = 7
FAULTS = ("wrong answer", "refused by the proof", "false alarm", "crash")


@dataclass
class Trial:
    """What came of one graph.

    Attributes:
        graph: the original.
        faults: what went wrong, by kind, one of `FAULTS`.
        not_judged: why ONNX Runtime could not say anything; empty where it could.
        share: the largest difference, as a share of what is allowed.
        seen: what folded; None where nothing could be folded.
    """

    graph: Fuzzed
    faults: dict[str, str] = field(default_factory=dict)
    not_judged: str = ""
    share: float = 0.0
    seen: Seen | None = None


def try_graph(
    graph: Fuzzed,
    *,
    proof: bool = True,
    verified: bool = False,
) -> Trial:
    """Fold, prove, judge.

    Args:
        graph: the original.
        proof: whether a proof that fails is a fault.
        verified: whether `verify` is asked too, which reads the saved pair alone.
    """
    trial = Trial(graph)
    original = ir.from_proto(graph.model)
    try:
        check_model(original, "the graph")
        folded = fold_graph(ir.from_proto(graph.model), keep=_kept(graph))
        saved = ir.to_proto(folded.model)
        if proof:
            problems = prove(original, folded).problems
            if problems:
                trial.faults["refused by the proof"] = f"{problems[0].place}: {problems[0].text}"
        if verified:
            verdict = verify(graph.model, onnx.ModelProto.FromString(saved.SerializeToString()))
            if verdict.verdict != "proven":
                trial.faults["false alarm"] = f"{verdict.verdict}: {verdict.reason}"
        trial.seen = Seen(graph.model, folded)
    except Exception:  # whatever it is, it is what was looked for
        trial.faults["crash"] = traceback.format_exc()
        return trial
    dtype = np.dtype(TYPES[graph.dtype])
    found = judge(graph.model, saved, feeds(graph.model, graph.seed), dtype)
    if found.wrong:
        trial.faults["wrong answer"] = found.wrong
    trial.not_judged, trial.share = found.not_judged, found.share
    return trial


def _kept(graph: Fuzzed) -> list[str]:
    """A norm that is to be left alone, in one graph of `_KEEPING`."""
    if graph.seed % _KEEPING:
        return []
    sites = view_of(graph.model).sites
    return [sites[graph.seed // _KEEPING % len(sites)].name] if sites else []
