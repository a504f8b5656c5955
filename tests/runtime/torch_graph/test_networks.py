"""The recipe networks through torch: equal to ONNX Runtime, traced whole, recognised alike."""

from __future__ import annotations

import shutil

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch

from models.recipes import LARGE, MICRO, Recipe
from tests.support.networks.cases import (
    exported_of,
    feeds_of,
    first_of,
    graph_of,
    missing_biases,
    reference,
    with_micros,
)
from tests.support.networks.exports import FORMS_EXPORTED
from un_deploy.pipeline.export.torch_to_onnx import Exporter
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

VIT = MICRO["vit_micro"]
ROUNDING = 1e-5  # of the reference's range, float32


def layers(recipe: Recipe, form: str) -> dict[str, int]:
    """What must be recognised; a product without bias is none of it, until a fold gives it one."""
    gained = missing_biases(recipe) if form == "folded" else 0
    return {**recipe.layers, "linear": recipe.layers["linear"] + gained}


def assert_agree(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) <= ROUNDING * np.ptp(wanted)


def assert_compiles_as_one_graph(model: ir.Model, feeds: dict[str, np.ndarray]) -> None:
    module = TorchRuntime().load(model).module(feeds)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    tensors = [torch.from_numpy(array) for array in feeds.values()]
    torch.testing.assert_close(compiled(*tensors), module(*tensors), rtol=0, atol=0)


ONE_EACH = [
    ("ln", "torchscript", True),
    ("un", "torchscript", False),
    ("released", "dynamo", False),
    ("folded", "dynamo", True),
    ("none", "dynamo", True),
]
"""Every writing of the norm once, and every export."""


@pytest.mark.parametrize(
    ("recipe", "form", "exporter", "dynamic"), with_micros(*FORMS_EXPORTED), ids=str
)
def test_agrees_with_onnx_runtime(
    recipe: Recipe, form: str, exporter: Exporter, dynamic: bool
) -> None:
    model, feeds = graph_of(recipe, form, exporter, dynamic), feeds_of(recipe)[0]
    session = TorchRuntime().load(model)
    got = first_of(session.run(feeds))
    assert_agree(got, reference(recipe, form, exporter, dynamic))
    assert counts(session.module(feeds)) == layers(recipe, form)


@pytest.mark.parametrize(("recipe", "form", "exporter", "dynamic"), with_micros(*ONE_EACH), ids=str)
def test_agrees_with_onnx_runtime_decomposed(
    recipe: Recipe, form: str, exporter: Exporter, dynamic: bool
) -> None:
    model, feeds = graph_of(recipe, form, exporter, dynamic), feeds_of(recipe)[0]
    session = TorchRuntime(recognize=False).load(model)
    got = first_of(session.run(feeds))
    assert_agree(got, reference(recipe, form, exporter, dynamic))
    found = counts(session.module(feeds))  # an exporter may write GELU as one operator
    assert found["attention"] == found["linear"] == 0


@pytest.mark.parametrize(("recipe", "form", "exporter", "dynamic"), with_micros(*ONE_EACH), ids=str)
def test_compiles_as_one_graph(
    recipe: Recipe, form: str, exporter: Exporter, dynamic: bool
) -> None:
    assert_compiles_as_one_graph(graph_of(recipe, form, exporter, dynamic), feeds_of(recipe)[0])


#: The largest of each file of recipes; the smaller ones are the same calls on fewer numbers. Each
#: in one form, in which other slow tests have it too: the micro networks have all, and of Swin,
#: whose micro network is slow to export, that one.
LARGEST = {recipe.factory.__module__: recipe for recipe in LARGE.values()}
PLACES = {"swin_tiny": 1, "vit_base": 2, "nmt_iwslt_step": 3, "bert_base": 4}
IN_TURN = [
    *((recipe, *ONE_EACH[PLACES.get(recipe.name, 0)]) for recipe in LARGEST.values()),
    *((LARGE["swin_micro"], *one) for one in ONE_EACH),
]


@pytest.mark.slow
@pytest.mark.parametrize(("large", "form", "exporter", "dynamic"), IN_TURN, ids=str)
def test_large_networks(large: Recipe, form: str, exporter: Exporter, dynamic: bool) -> None:
    model = exported_of(large, form, exporter, dynamic)
    feeds = feeds_of(large)[0]
    wanted = first_of(OnnxRuntime(threads=1).load(model).run(feeds))
    for recognize in (True, False):
        got = first_of(TorchRuntime(recognize=recognize).load(model).run(feeds))
        assert_agree(got, wanted)
    assert counts(TorchRuntime().load(model).module(feeds)) == layers(large, form)
    assert_compiles_as_one_graph(model, feeds)


@pytest.mark.parametrize("recipe", with_micros(()), ids=str)
def test_no_shape_arithmetic_is_left(recipe: Recipe) -> None:
    """The dynamic graph becomes that of the static one, call for call."""
    feeds = feeds_of(recipe)[0]
    targets = []
    for dynamic in (False, True):
        model = graph_of(recipe, "folded", "torchscript", dynamic)
        module = TorchRuntime().load(model).module(feeds)
        targets.append([(node.op, str(node.target)) for node in module.graph.nodes])
    calls = [[call for call in graph if call[0].startswith("call")] for graph in targets]
    assert calls[0] == calls[1]


def test_specialisations_share_the_weights() -> None:
    session = TorchRuntime().load(graph_of(VIT, "folded", "dynamo", True))
    one, two = (
        session.module({"pixel_values": np.zeros((batch, 1, 28, 28), np.float32)})
        for batch in (1, 2)
    )
    first, second = (
        {b.untyped_storage().data_ptr(): b.untyped_storage().nbytes() for b in module.buffers()}
        for module in (one, two)
    )
    shared = sum(first[pointer] for pointer in first.keys() & second.keys())
    assert shared > 0.95 * sum(first.values())


def test_another_batch_needs_no_new_session() -> None:
    model = graph_of(VIT, "folded", "dynamo", True)
    session, oracle = TorchRuntime().load(model), OnnxRuntime(threads=1).load(model)
    images = np.random.default_rng(0).standard_normal((5, 1, 28, 28)).astype(np.float32)
    for batch in (5, 3, 1):
        feeds = {"pixel_values": images[:batch]}
        assert_agree(session.run(feeds)["logits"], oracle.run(feeds)["logits"])


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [VIT, MICRO["nmt_micro_step"]], ids=str)
def test_inductor_compiles(recipe: Recipe) -> None:
    """One that reads an image, and one that reads words, a mask and its past."""
    if not shutil.which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    model, feeds = graph_of(recipe, "folded", "dynamo", True), feeds_of(recipe)[0]
    got = first_of(TorchRuntime(mode="compile").load(model).run(feeds))
    assert_agree(got, reference(recipe, "folded", "dynamo", True))
