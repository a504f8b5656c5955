"""The recipe networks through torch: equal to ONNX Runtime, traced whole, recognised alike."""

from __future__ import annotations

import shutil

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch

from models.bert import bert_base, bert_micro
from models.vit import vit_base, vit_micro, vit_small, vit_tiny
from tests.runtime.torch_graph.networks import (
    EXPORTS,
    KINDS,
    MICRO,
    Factory,
    Kind,
    feeds_of,
    graph_of,
    reference,
)
from tests.support.trained_like import initialised, norms
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

RECOGNIZED = {
    vit_micro: {"attention": 4, "linear": 17, "gelu": 4},
    bert_micro: {"attention": 2, "linear": 12, "gelu": 2},
    vit_tiny: {"attention": 12, "linear": 49, "gelu": 12},
    vit_small: {"attention": 12, "linear": 49, "gelu": 12},
    vit_base: {"attention": 12, "linear": 49, "gelu": 12},
    bert_base: {"attention": 12, "linear": 72, "gelu": 12},
}
ROUNDING = 1e-5  # of the reference's range, float32


@pytest.fixture(params=MICRO)
def factory(request: pytest.FixtureRequest) -> Factory:
    return request.param


def assert_agree(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) <= ROUNDING * np.ptp(wanted)


def assert_compiles_as_one_graph(model: ir.Model, feeds: dict[str, np.ndarray]) -> None:
    module = TorchRuntime().load(model).module(feeds)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    tensors = [torch.from_numpy(array) for array in feeds.values()]
    torch.testing.assert_close(compiled(*tensors), module(*tensors), rtol=0, atol=0)


@pytest.mark.parametrize(("exporter", "dynamic"), EXPORTS)
@pytest.mark.parametrize("kind", KINDS)
class TestEveryGraph:
    @pytest.mark.parametrize("recognize", [True, False], ids=["recognised", "decomposed"])
    def test_agrees_with_onnx_runtime(
        self, factory: Factory, exporter: Exporter, dynamic: bool, kind: Kind, recognize: bool
    ) -> None:
        model, feeds = graph_of(factory, kind, exporter, dynamic), feeds_of(factory)
        session = TorchRuntime(recognize=recognize).load(model)
        (got,) = session.run(feeds).values()
        assert_agree(got, reference(factory, kind, exporter, dynamic))
        found = counts(session.module(feeds))
        if recognize:
            assert found == RECOGNIZED[factory]
        else:  # an exporter may write GELU as one operator
            assert found["attention"] == found["linear"] == 0

    def test_compiles_as_one_graph(
        self, factory: Factory, exporter: Exporter, dynamic: bool, kind: Kind
    ) -> None:
        assert_compiles_as_one_graph(graph_of(factory, kind, exporter, dynamic), feeds_of(factory))


ONE_EACH = list(zip(KINDS, (*EXPORTS, EXPORTS[0]), strict=True))
"""Every writing of the norm once, and every export: a large network takes seconds each."""


@pytest.mark.slow
@pytest.mark.parametrize("large", [vit_tiny, vit_small, vit_base, bert_base])
@pytest.mark.parametrize(("kind", "export"), ONE_EACH)
def test_large_networks(large: Factory, kind: Kind, export: tuple[Exporter, bool]) -> None:
    network = initialised(large, "un" if kind == "folded" else kind, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for norm in norms(network):
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.2, generator=generator)
    exporter, dynamic = export
    inputs = network.example_inputs(2 if dynamic else 1)
    model = to_onnx(
        network,
        inputs,
        dynamic_axes=network.dynamic_axes if dynamic else {},
        output_names=network.output_names,
        exporter=exporter,
    )
    model = fold_graph(model).model if kind == "folded" else model
    feeds = {name: tensor.numpy() for name, tensor in inputs.items()}
    (wanted,) = OnnxRuntime(threads=1).load(model).run(feeds).values()
    for recognize in (True, False):
        (got,) = TorchRuntime(recognize=recognize).load(model).run(feeds).values()
        assert_agree(got, wanted)
    assert counts(TorchRuntime().load(model).module(feeds)) == RECOGNIZED[large]
    assert_compiles_as_one_graph(model, feeds)


def test_no_shape_arithmetic_is_left(factory: Factory) -> None:
    """The dynamic graph becomes that of the static one, call for call."""
    feeds = feeds_of(factory)
    targets = []
    for dynamic in (False, True):
        model = graph_of(factory, "folded", "torchscript", dynamic)
        module = TorchRuntime().load(model).module(feeds)
        targets.append([(node.op, str(node.target)) for node in module.graph.nodes])
    calls = [[call for call in graph if call[0].startswith("call")] for graph in targets]
    assert calls[0] == calls[1]


def test_specialisations_share_the_weights() -> None:
    session = TorchRuntime().load(graph_of(vit_micro, "folded", "dynamo", True))
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
    model = graph_of(vit_micro, "folded", "dynamo", True)
    session, oracle = TorchRuntime().load(model), OnnxRuntime(threads=1).load(model)
    images = np.random.default_rng(0).standard_normal((5, 1, 28, 28)).astype(np.float32)
    for batch in (5, 3, 1):
        feeds = {"pixel_values": images[:batch]}
        assert_agree(session.run(feeds)["logits"], oracle.run(feeds)["logits"])


@pytest.mark.slow
def test_inductor_compiles(factory: Factory) -> None:
    if not shutil.which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    model, feeds = graph_of(factory, "folded", "dynamo", True), feeds_of(factory)
    (got,) = TorchRuntime(mode="compile").load(model).run(feeds).values()
    assert_agree(got, reference(factory, "folded", "dynamo", True))
