"""The claim of the project: a folded network is the network that never had a norm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from models.recipes import LARGE, MICRO
from tests.support.isomorphism import differences
from tests.support.networks.cases import (
    Case,
    cases,
    exact_outputs,
    first_of,
    float64_outputs,
    missing_biases,
    unrounded_outputs,
)
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

pytestmark = pytest.mark.torch

FEEDS = {True: 32, False: 8}
"""Of a micro network and of a large one, whose float64 takes long."""

#: Of the parts of a network two exports each, so that all of them meet all exports.
SMALL = [
    pytest.param(case, marks=[pytest.mark.slow] if recipe.slow and number else [])
    for turn, recipe in enumerate(MICRO.values())
    for number, case in enumerate(cases(recipe))
    if not recipe.slow or number in (0, 1 + turn % 3)
]
#: The largest of each file of models/, through one export, which other slow tests make too: the
#: others of a file differ from it in nothing but sizes, or are its parts, of which there are micro
#: ones. Of Swin, whose micro network is slow to export, that one has all.
LARGEST = {r.factory.__module__: r for r in sorted(LARGE.values(), key=lambda r: r.weights)}
PLACES = {"swin_tiny": 1, "vit_base": 2, "nmt_iwslt_step": 3}
SLOW = [
    pytest.param(case, marks=pytest.mark.slow)
    for case in (
        *(cases(recipe)[PLACES.get(recipe.name, 0)] for recipe in LARGEST.values()),
        *cases(LARGE["swin_micro"]),
    )
]


@pytest.fixture(scope="module", params=[*SMALL, *SLOW], ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return replace(
        request.param
    )  # whose graphs go with it: large ones of all cases fill the memory


def with_own_tables(model: ir.Model) -> ir.Model:
    """Transposed weights as constants of their own, as a fold leaves each that it changes.

    An exporter leaves the Transpose where another operator reads the large weight too: a table of
    words, from which the words are projected.
    """
    for node in [one for one in model.graph if one.op_type == "Transpose"]:
        (table,), (made,) = node.inputs, node.outputs
        if table is not None and table.const_value is not None:
            array = np.transpose(table.const_value.numpy(), node.attributes["perm"].as_ints())
            own = ir.val(f"{made.name}_own", const_value=ir.tensor(array))
            model.graph.register_initializer(own)
            made.replace_all_uses_with(own)
            model.graph.remove(node, safe=True)
    return model


class TestFoldedIsNoNorm:
    def test_every_norm_folds(self, case: Case) -> None:
        report = case.folded.report
        assert len(report.folded) == case.recipe.norms
        assert report.stayed == ()
        # The place of a single token, added to it, is a constant of the channels like a shift.
        without = fold_graph(case.without_norms.clone()).report
        assert len(report.near_misses) == len(without.near_misses)

    def test_the_graph_is_that_of_the_network_without_norms(self, case: Case) -> None:
        """Up to a bias where a linear layer behind a norm has none: the report names each."""
        folded, gained = case.folded.model, case.folded.report.gained_biases
        without = with_own_tables(case.without_norms.clone())
        assert differences(case.original, without) != []
        assert len(gained) == missing_biases(case.recipe)
        assert differences(folded, without, gained_biases=gained) == []

    def test_what_the_report_does_not_name_is_bit_identical(self, case: Case) -> None:
        before = case.original.graph.initializers
        named = {change.new for change in case.folded.report.changes}
        kept = {n: v for n, v in case.folded.model.graph.initializers.items() if n not in named}
        # The encoder's last norm goes back into all that writes to the stream or reads it.
        assert len(kept) > 0 or case.recipe.name.endswith("_encoder")
        for name, value in kept.items():
            assert value.const_value.tobytes() == before[name].const_value.tobytes(), name

    def test_before_rounding_it_computes_the_same(self, case: Case) -> None:
        for feeds in case.feeds(1):
            wanted = float64_outputs(case.original, feeds)
            got = unrounded_outputs(case.folded, feeds)
            for name, array in wanted.items():
                assert np.max(np.abs(got[name] - array)) <= 1e-10 * np.max(np.abs(array))

    def test_it_is_proven(self, case: Case) -> None:
        proof = prove(case.original, case.folded)
        assert proof.passed, proof.problems
        assert proof.constants == len(case.folded.exact)
        assert proof.regions >= case.recipe.norms

    def test_rounded_it_is_as_close_to_float64_as_the_unfolded_graph(self, case: Case) -> None:
        pytest.importorskip("onnxruntime", reason="needs a float32 runtime: un-deploy[cpu]")
        from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

        before = OnnxRuntime().load(case.original)
        after = OnnxRuntime().load(case.folded.model)
        count = FEEDS[case.recipe.micro]
        ratios = []
        for feeds, exact in zip(case.feeds(count), exact_outputs(case.recipe, count), strict=True):
            unfolded, folded = (first_of(session.run(feeds)) for session in (before, after))
            ratios.append(np.max(np.abs(folded - exact)) / np.max(np.abs(unfolded - exact)))
        assert np.median(ratios) <= 1.5
