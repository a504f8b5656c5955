"""Random graphs of norms, linear operators, sums and layouts: whatever folds, folds right."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.float64 import run
from tests.support.graphs import feeds_for, fold_and_prove, largest_error, stored
from tests.support.random_graphs import random_graph
from tests.support.random_kinds import IMAGES, TOKENS, Kind, random_graph_of
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

KINDS = pytest.mark.parametrize("kind", [TOKENS, IMAGES], ids=["tokens", "images"])


@pytest.mark.parametrize("seed", range(100))
def test_whatever_folds_folds_right(seed: int) -> None:
    # A dozen layers in a row lose a little more than one.
    original = random_graph(Random(seed))
    folded = fold_and_prove(original, eps=10 * 2.0**-23)
    feeds = feeds_for(original, seed=seed)
    got, wanted = (run(model, feeds, stored) for model in (folded.model, original))
    assert largest_error(got, wanted) < 200 * 2.0**-23
    assert len(folded.report.folded) + len(folded.report.stayed) == len(folded.report.sites)


def test_most_norms_of_such_graphs_fold() -> None:
    reports = [fold_and_prove(random_graph(Random(seed)), eps=1e-6).report for seed in range(40)]
    sites = [site for report in reports for site in report.sites]
    folded = [site for site in sites if site.status == "folded"]
    assert len(sites) > 60 and len(folded) / len(sites) > 0.5


@KINDS
def test_whatever_surrounds_a_fold_it_is_proven(kind: Kind) -> None:
    assert folded_and_proven(kind, range(150)) > 100


@pytest.mark.slow
@KINDS
def test_and_so_are_six_hundred_more(kind: Kind) -> None:
    assert folded_and_proven(kind, range(150, 750)) > 400


def folded_and_proven(kind: Kind, seeds: range) -> int:
    """How many norms folded in these graphs; each graph is proven."""
    folded = 0
    for seed in seeds:
        original = random_graph_of(kind, Random(seed))
        done = fold_graph(original.clone())
        proof = prove(original, done)
        assert proof.passed, (seed, proof.problems)
        folded += len(done.report.folded)
    return folded
