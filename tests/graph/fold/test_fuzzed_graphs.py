"""Random graphs in hostile surroundings fold right, by ONNX Runtime; `make fuzz` tries 5,000."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.fuzzer.drawing.generate import fuzzed
from tests.support.fuzzer.trial import try_graph

pytest.importorskip("onnxruntime")


def test_whatever_stands_around_a_norm_the_answers_stay() -> None:
    trials = [try_graph(fuzzed(seed), verified=seed == 0) for seed in range(40)]
    assert {trial.graph.seed: trial.faults for trial in trials if trial.faults} == {}
    assert sum(not trial.not_judged for trial in trials) >= 36
    norms = sum((trial.seen.norms for trial in trials if trial.seen is not None), Counter())
    assert norms["folded forward"] > 15 and norms["folded backward"] > 15
