"""Where a shift becomes a new bias, the engine is that of no norm with biases at those places."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
import pytest

from models.vit import vit_micro
from tests.support.bias_free import behind_norms, vit_bias_free
from tests.support.isomorphism import differences
from tests.support.networks.engine_graphs import engine_signatures
from tests.support.networks.exports import exported
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.precision.convert import Precision

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")


@dataclass(frozen=True)
class Graphs:
    """UN, what its fold made of it, and no norm without and with the biases that may be gained."""

    un: ir.Model
    folded: Folded
    bare: ir.Model
    biased: ir.Model


@pytest.fixture(scope="module", params=[False, True], ids=["static", "dynamic"])
def graphs(request: pytest.FixtureRequest) -> Graphs:
    un = exported(vit_bias_free, "un", request.param)
    return Graphs(
        un=un,
        folded=fold_graph(un.clone()),
        bare=exported(vit_bias_free, "none", request.param),
        biased=exported(vit_micro, "none", request.param),  # PyTorch's random biases, none is zero
    )


def test_the_report_names_every_bias_that_no_norm_lacks(graphs: Graphs) -> None:
    folded, gained = graphs.folded.model, graphs.folded.report.gained_biases
    assert len(gained) == len(behind_norms(vit_micro())) == 9
    assert graphs.folded.report.stayed == ()
    assert differences(folded, graphs.bare) != []
    assert differences(folded, graphs.bare, gained_biases=gained) == []
    assert differences(folded, graphs.biased) == []


@pytest.mark.parametrize(
    ("graphs", "precision"),
    [(False, "fp32"), (True, "fp16"), (False, "bf16")],
    indirect=["graphs"],
)
def test_the_engine_is_that_of_no_norm_with_those_biases(
    graphs: Graphs, precision: Precision
) -> None:
    models = {"un": graphs.un, "folded": graphs.folded.model}
    models |= {"bare": graphs.bare, "biased": graphs.biased}
    found = {form: engine_signatures(model, precision) for form, model in models.items()}
    alike = {form for form in found if found[form] == found["folded"]}
    assert alike == {"folded", "biased"}
