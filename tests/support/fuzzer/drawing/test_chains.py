"""Most chains fold a norm of several channels through operators of two rules or more."""

from __future__ import annotations

from collections import Counter
from random import Random

import onnx_ir as ir

from tests.support.fuzzer.drawing.chains import chain
from tests.support.fuzzer.seen import Seen
from un_deploy.graph.fold.fold import fold_graph


def seen(seed: int) -> Seen:
    part = chain(Random(seed))
    return Seen(part.model, fold_graph(ir.from_proto(part.model)))


def test_chains_fold_through_two_rules_in_both_directions() -> None:
    found = [seen(seed) for seed in range(30)]
    assert sum(one.most_rules > 1 for one in found) >= 18
    ways = Counter(way for one in found for _, _, way in one.operators)
    assert ways["forward"] > 40 and ways["backward"] > 30


def test_the_same_turn_gives_the_same_chain() -> None:
    assert chain(Random(3)).name == chain(Random(3)).name != chain(Random(4)).name
