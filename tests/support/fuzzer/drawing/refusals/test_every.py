"""A draft gives the reason for which it was written, in a type and an opset that it asks for."""

from __future__ import annotations

from random import Random

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.fuzzer.drawing.compose import compose
from tests.support.fuzzer.drawing.draft import Draft
from tests.support.fuzzer.drawing.generate import fuzzed
from tests.support.fuzzer.drawing.refusals.every import refusals
from tests.support.fuzzer.reasons import told
from un_deploy.graph.fold.fold import fold_graph

REASONS = {
    "Einsum that sums the tokens of a norm": "it sums over axis _, along which the scale or shift",
    "MatMul and another way around it": "what passes along the axes that its constant lacks",
    "Resize to less, before opset 11": "nothing says which of its places is the nearest",
    "a Scaler of what is no row": "the features of _ are unknown",
    "a Scaler of another type": "it reads _ and makes float32",
    "BatchNormalization by what is computed": "its parameters are not constant",
    "a norm of tokens in front of one that measures": "graph_view: _ is a part of a _",
    "shifted far, and joined with a product": "solving/ranges: _ would write _ with _ added to it",
    "shifted far, and joined with a constant": "solving/ranges: _ would take in _, and its readers",
    "shifted far, in front of a sum": "solving/ranges: _ would have _ added to it, and that",
    "a dead channel in front of a sum": "solving/seeds: channel _ is scaled by 0: nothing before",
    "a small scale in front of small weights": "solving/small_numbers: _ would lose digits",
}
DRAFTS = {part.name: part for part in refusals()}


@pytest.mark.parametrize("name", REASONS)
def test_a_draft_alone_gives_its_reason(name: str) -> None:
    part = DRAFTS[name]
    draft = Draft(min(part.opsets[1], 18), part.types[0] if part.types else "float")
    compose(draft, [part], Random(1), np.random.default_rng(1))
    found = [reason.name for reason in told(fold_graph(ir.from_proto(draft.model())).report)]
    assert sum(REASONS[name] in reason for reason in found) == 1


@pytest.mark.parametrize("name", [name for name, part in DRAFTS.items() if part.types])
def test_a_graph_that_begins_with_a_draft_has_its_type_and_opset(name: str) -> None:
    part, place = DRAFTS[name], list(DRAFTS).index(name)
    graph = fuzzed(2 * place + 1)
    assert graph.dtype in part.types
    assert part.opsets[0] <= graph.opset <= part.opsets[1]
