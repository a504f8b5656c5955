"""The recipe networks through torch: equal to ONNX Runtime, traced whole, recognised alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch
from torch import nn

from models.bert import bert_micro
from models.vit import vit_micro
from tests.end_to_end.cases import Case
from un_deploy.pipeline.torch_to_onnx import Exporter
from un_deploy.runtime.onnxruntime import OnnxRuntime
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

VARIANTS = ("ln", "un", "folded", "none")
RECOGNIZED = {
    vit_micro: {"attention": 4, "linear": 17, "gelu": 4},
    bert_micro: {"attention": 2, "linear": 12, "gelu": 2},
}
ROUNDING = 1e-5  # of the reference's range, float32

Factory = Callable[..., nn.Module]


@lru_cache
def graphs(factory: Factory, exporter: Exporter, dynamic: bool) -> dict[str, ir.Model]:
    """The four variants of a network."""
    cases = {norm: Case(factory, norm, exporter, dynamic) for norm in ("ln", "un", "none")}
    models = {norm: case.original for norm, case in cases.items()}
    return {**models, "folded": cases["un"].folded.model}


@pytest.fixture(params=[vit_micro, bert_micro])
def factory(request: pytest.FixtureRequest) -> Factory:
    return request.param


def feeds_of(factory: Factory) -> dict[str, np.ndarray]:
    return Case(factory, "un", "dynamo", False).feeds(1)[0]


@pytest.mark.parametrize("norm", VARIANTS)
@pytest.mark.parametrize(
    ("exporter", "dynamic"),
    [("dynamo", True), ("torchscript", False), ("torchscript", True)],
)
class TestEveryGraph:
    @pytest.mark.parametrize("recognize", [True, False], ids=["recognised", "decomposed"])
    def test_agrees_with_onnx_runtime(
        self, factory: Factory, exporter: Exporter, dynamic: bool, norm: str, recognize: bool
    ) -> None:
        model, feeds = graphs(factory, exporter, dynamic)[norm], feeds_of(factory)
        (wanted,) = OnnxRuntime(threads=1).load(model).run(feeds).values()
        (got,) = TorchRuntime(recognize=recognize).load(model).run(feeds).values()
        assert got.shape == wanted.shape
        assert np.max(np.abs(got - wanted)) <= ROUNDING * np.ptp(wanted)

    def test_recognises_the_same_in_all_variants(
        self, factory: Factory, exporter: Exporter, dynamic: bool, norm: str
    ) -> None:
        model, feeds = graphs(factory, exporter, dynamic)[norm], feeds_of(factory)
        assert counts(TorchRuntime().load(model).module(feeds)) == RECOGNIZED[factory]
        decomposed = counts(TorchRuntime(recognize=False).load(model).module(feeds))
        assert decomposed["attention"] == decomposed["linear"] == 0

    def test_compiles_as_one_graph(
        self, factory: Factory, exporter: Exporter, dynamic: bool, norm: str
    ) -> None:
        model, feeds = graphs(factory, exporter, dynamic)[norm], feeds_of(factory)
        module = TorchRuntime().load(model).module(feeds)
        torch.compiler.reset()
        compiled = torch.compile(module, backend="eager", fullgraph=True)
        tensors = [torch.from_numpy(array) for array in feeds.values()]
        torch.testing.assert_close(compiled(*tensors), module(*tensors), rtol=0, atol=0)


def test_no_shape_arithmetic_is_left(factory: Factory) -> None:
    """The dynamic graph becomes that of the static one, call for call."""
    feeds = feeds_of(factory)
    targets = []
    for dynamic in (False, True):
        model = graphs(factory, "torchscript", dynamic)["folded"]
        module = TorchRuntime().load(model).module(feeds)
        targets.append([(node.op, str(node.target)) for node in module.graph.nodes])
    calls = [[call for call in graph if call[0].startswith("call")] for graph in targets]
    assert calls[0] == calls[1]


def test_specialisations_share_the_weights() -> None:
    session = TorchRuntime().load(graphs(vit_micro, "dynamo", True)["folded"])
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
    model = graphs(vit_micro, "dynamo", True)["folded"]
    session, reference = TorchRuntime().load(model), OnnxRuntime(threads=1).load(model)
    images = np.random.default_rng(0).standard_normal((5, 1, 28, 28)).astype(np.float32)
    for batch in (5, 3, 1):
        feeds = {"pixel_values": images[:batch]}
        wanted = reference.run(feeds)["logits"]
        assert np.max(np.abs(session.run(feeds)["logits"] - wanted)) <= ROUNDING * np.ptp(wanted)


@pytest.mark.slow
def test_inductor_compiles(factory: Factory) -> None:
    if not shutil.which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    model, feeds = graphs(factory, "dynamo", True)["folded"], feeds_of(factory)
    (wanted,) = TorchRuntime().load(model).run(feeds).values()
    (got,) = TorchRuntime(mode="compile").load(model).run(feeds).values()
    assert np.max(np.abs(got - wanted)) <= ROUNDING * np.ptp(wanted)
