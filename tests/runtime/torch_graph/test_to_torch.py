"""A model brought back to PyTorch computes the same, and its weights learn."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import un_deploy
from models.recipes import MICRO
from tests.support.networks.cases import Case
from un_deploy.errors import InputError
from un_deploy.pipeline.export.torch_to_onnx import to_onnx

pytestmark = pytest.mark.torch

UN = Case(MICRO["vit_micro"], "un", "dynamo", dynamic=True)

TWO_OUTPUTS = """
<ir_version: 8, opset_import: ["": 20]>
g (float[n, 2] a, float[n, 2] b) => (float[n, 2] total, float[n, 2] scaled)
<float[2] w = {2, 3}, float eps = {0.5}, float[2] mask = {0, -inf}>
{ total = Add(a, b)  s = Mul(a, w)  e = Add(s, eps)  scaled = Add(e, mask) }
"""


def test_gradients_are_those_of_the_native_layer() -> None:
    torch.manual_seed(0)
    native = nn.Linear(3, 4)
    x = torch.randn(2, 5, 3)
    for exporter in ("dynamo", "torchscript"):
        native.zero_grad()
        module = un_deploy.to_torch(to_onnx(native, {"input": x}, exporter=exporter))
        got, wanted = module(x), native(x)
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)
        got.square().sum().backward()
        wanted.square().sum().backward()
        by_rank = {parameter.ndim: parameter.grad for parameter in module.parameters()}
        assert set(by_rank) == {1, 2}
        torch.testing.assert_close(by_rank[1], native.bias.grad, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(by_rank[2].t(), native.weight.grad, rtol=1e-6, atol=1e-5)


def test_a_folded_network_learns() -> None:
    module = un_deploy.to_torch(UN.folded.model)
    assert isinstance(module, nn.Module)
    images = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(5):
        loss = nn.functional.cross_entropy(module(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_specialised_module_is_compiled_whole_in_training() -> None:
    """Its gradients, taken through one graph, move the weights of the module it comes from."""
    module = un_deploy.to_torch(UN.folded.model)
    images = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(4)
    inner = module.specialised({"pixel_values": images})
    torch.compiler.reset()
    # aot_eager traces the backward pass as well, and needs no C++ compiler.
    compiled = torch.compile(inner, backend="aot_eager", fullgraph=True)
    gradients = []
    for call in (inner, compiled):
        module.zero_grad()
        (logits,) = call(images)
        nn.functional.cross_entropy(logits, labels).backward()
        gradients.append({name: p.grad.clone() for name, p in module.named_parameters()})
    assert set(gradients[0]) == {name for name, _ in module.named_parameters()}
    for name, gradient in gradients[0].items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-5, atol=1e-6)
    (before,) = inner(images)
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    (after,) = compiled(images)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, module(images), rtol=1e-5, atol=1e-6)


def test_every_shape_sees_the_weights_as_they_are_now() -> None:
    module = un_deploy.to_torch(UN.folded.model)
    images = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        before = module(images), module(images[:2])
        module.get_parameter(module.names["head.bias"]).add_(1)
        after = module(images), module(images[:2])
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old + 1, rtol=0, atol=1e-6)
    assert len(list(module.parameters())) == len(module.state_dict()) - len(list(module.buffers()))


def test_several_outputs_come_by_name_and_inputs_go_by_name() -> None:
    module = un_deploy.to_torch(ir.from_onnx_text(TWO_OUTPUTS))
    a, b = torch.ones(1, 2), torch.full((1, 2), 5.0)
    for outputs in (module(a, b), module(a, b=b), module(b=b, a=a)):
        assert list(outputs) == ["total", "scaled"]
        assert outputs["total"].tolist() == [[6, 6]]
        assert outputs["scaled"].tolist() == [[2.5, -float("inf")]]
    # A scalar and a mask of infinities are no weights.
    assert [name for name, _ in module.named_parameters()] == [module.names["w"]]


def test_another_type_reaches_constants_already_imported() -> None:
    module = un_deploy.to_torch(ir.from_onnx_text(TWO_OUTPUTS))
    a = torch.ones(1, 2)
    module(a, a)
    assert module.double()(a.double(), a.double())["scaled"].dtype == torch.float64


def test_wrong_inputs_are_refused() -> None:
    module = un_deploy.to_torch(ir.from_onnx_text(TWO_OUTPUTS))
    a = torch.ones(1, 2)
    for args, kwargs in (((a,), {}), ((a, a, a), {}), ((a, a), {"b": a}), ((a,), {"c": a})):
        with pytest.raises(InputError, match="the graph takes the inputs a, b, each once"):
            module(*args, **kwargs)
    with pytest.raises(InputError, match=r"^node s \(Mul\): .*broadcast"):
        module(torch.ones(1, 3), torch.ones(1, 3))


def test_an_operator_without_handler_is_refused() -> None:
    text = '<ir_version: 8, opset_import: ["": 20]> g (float[4] x) => (float[4] y) {y = Sin(x)}'
    with pytest.raises(InputError, match=r"node y \(Sin\): torch has no handler"):
        un_deploy.to_torch(ir.from_onnx_text(text))


def test_the_model_given_stays() -> None:
    model = ir.from_onnx_text(TWO_OUTPUTS)
    before = ir.to_onnx_text(model)
    module = un_deploy.to_torch(model)
    with torch.no_grad():
        module.get_parameter(module.names["w"]).zero_()
    assert ir.to_onnx_text(model) == before
    np.testing.assert_array_equal(model.graph.initializers["w"].const_value.numpy(), [2, 3])
