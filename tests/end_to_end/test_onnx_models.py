"""The models that onnx ships: operators by the dozen, sequences, strings, and nine CNNs."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from benchmarks.onnx_models import in_own_process
from tests.support import onnx_models
from tests.support.onnx_models import Weights, name_of, shipped
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.proof.prove import prove

SMALL = shipped("simple", "pytorch-operator", "pytorch-converted")
LIGHT = {name_of(path).removeprefix("light/"): path for path in shipped("light")}

#: Norms that fold where the weights are constant, of the light ones.
NORMS = {
    "densenet121": (59, 62),
    "inception_v2": (69, 0),
    "resnet50": (53, 0),
    "shufflenet": (49, 0),
}
#: The same where every entry of a weight is alike, so that scales agree where features meet.
ALIKE = NORMS | {"densenet121": (114, 7)}


def folded_and_proven(model: onnx.ModelProto) -> Folded:
    original = ir.from_proto(model)
    folded = fold_graph(original.clone())
    proof = prove(original, folded)
    assert proof.passed, proof.problems
    return folded


def assert_equal_in_onnx_runtime(path: Path, model: onnx.ModelProto, folded: Folded) -> None:
    pytest.importorskip("onnxruntime")
    difference = onnx_models.difference(path, model, ir.to_proto(folded.model))
    assert difference <= 1e-4  # weights were rounded once more than in the original


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_a_small_model_is_proven_and_equal(path: Path) -> None:
    for weights in ("as shipped", "constant"):
        model = onnx_models.load(path, weights)
        folded = folded_and_proven(model)
        if name_of(path) not in onnx_models.NOT_RUN:
            assert_equal_in_onnx_runtime(path, model, folded)


def test_there_are_as_many_as_there_were() -> None:
    """A newer onnx may ship more; of what is excused everything exists."""
    assert len(SMALL) >= 140 and len(LIGHT) >= 9
    assert onnx_models.NOT_RUN.keys() <= {name_of(path) for path in SMALL}


@pytest.mark.parametrize("name", ["densenet121", "shufflenet", "vgg19"])
def test_a_cnn_as_it_is_shipped_has_nothing_to_fold(name: str) -> None:
    """The caller may override every weight: those that operators make from an overridable shape."""
    report = folded_and_proven(onnx_models.load(LIGHT[name])).report
    assert report.folded == ()
    assert len(report.stayed) == sum(NORMS.get(name, ()))


@pytest.mark.parametrize("name", ["densenet121", "shufflenet"])
def test_the_norms_of_a_cnn_fold_where_its_weights_are_constant(name: str) -> None:
    model = onnx_models.load(LIGHT[name], "constant")
    report = folded_and_proven(model).report
    assert (len(report.folded), len(report.stayed)) == ALIKE[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        (name, weights)
        for name in LIGHT
        for weights in (onnx_models.WEIGHTS if name in NORMS else ["drawn"])
    ],
)
def test_a_cnn_is_proven_and_equal(name: str, weights: Weights) -> None:
    model = onnx_models.load(LIGHT[name], weights)
    folded = folded_and_proven(model)
    found = len(folded.report.folded), len(folded.report.stayed)
    norms = (NORMS if weights == "drawn" else ALIKE).get(name, (0, 0))
    assert found == ((0, sum(norms)) if weights == "as shipped" else norms)
    assert_equal_in_onnx_runtime(LIGHT[name], model, folded)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"), [("densenet121", "drawn"), ("vgg19", "constant"), ("vgg19", "drawn")]
)
def test_the_large_ones_take_no_more_than_two_and_a_half_gigabytes(
    name: str, weights: Weights
) -> None:
    pytest.importorskip("onnxruntime")
    measured = in_own_process(LIGHT[name], weights)
    assert measured["proven"] and measured["peak_mb"] < 2500
