"""A UnifiedNorm is made as nn.LayerNorm is, and has the parameters that a LayerNorm would have."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

MODES = ["robust", "paper", "official"]
FORMS = pytest.mark.parametrize(
    "form",
    [
        {},
        {"bias": False},
        {"elementwise_affine": False},
        {"elementwise_affine": False, "bias": True},
    ],
    ids=["both", "no bias", "no affine", "no affine, but a bias"],
)


def test_arguments_come_in_the_order_of_layer_norm() -> None:
    """And have its defaults."""
    of_layer_norm = inspect.signature(nn.LayerNorm).parameters
    ours = inspect.signature(UnifiedNorm).parameters
    assert list(ours)[: len(of_layer_norm)] == list(of_layer_norm)
    assert all(ours[name].default == p.default for name, p in of_layer_norm.items())
    norm = UnifiedNorm(8, 1e-6, True, False, "cpu", torch.float64)
    assert (norm.eps, norm.bias, norm.weight.dtype) == (1e-6, None, torch.float64)


@pytest.mark.parametrize("shape", [8, (8,), [8], torch.Size([8]), np.int64(8)])
def test_the_shape_is_an_int_or_a_sequence(shape: Any) -> None:
    norm = UnifiedNorm(shape)
    assert norm.num_channels == 8
    assert norm.normalized_shape == nn.LayerNorm(shape).normalized_shape == (8,)
    assert partial(UnifiedNorm, eps=1e-6)(shape).eps == 1e-6


@FORMS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_parameters_are_those_of_a_layer_norm(form: dict[str, bool], dtype: torch.dtype) -> None:
    norm, layer_norm = UnifiedNorm(8, dtype=dtype, **form), nn.LayerNorm(8, dtype=dtype, **form)
    for name in ("weight", "bias"):
        ours, theirs = getattr(norm, name), getattr(layer_norm, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or (torch.equal(ours, theirs) and ours.dtype == dtype)
    assert set(norm.state_dict()) >= set(layer_norm.state_dict())
    assert norm.running_var.dtype == torch.float32
    assert norm.elementwise_affine == layer_norm.elementwise_affine
    norm.reset_parameters()
    assert [n for n, _ in norm.named_parameters()] == [n for n, _ in layer_norm.named_parameters()]


def test_shows_what_it_lacks() -> None:
    assert repr(UnifiedNorm(8, bias=False)).endswith("momentum=0.9, bias=False)")
    lacks_both = UnifiedNorm(8, elementwise_affine=False, channel_first=True)
    assert repr(lacks_both).endswith("channel_first=True, elementwise_affine=False)")


@FORMS
@pytest.mark.parametrize("channel_first", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_lacking_parameters_are_as_one_and_zero(
    form: dict[str, bool], mode: str, channel_first: bool
) -> None:
    """Outputs, gradients and statistics, in training and in evaluation."""
    plain, norm = UnifiedNorm(8, mode=mode), UnifiedNorm(8, mode=mode, **form)
    norm.channel_first = plain.channel_first = channel_first
    torch.manual_seed(0)
    for training in (*[True] * 12, False):
        plain.train(training)
        norm.train(training)
        a = torch.randn(4, 8, 8, requires_grad=True)
        b = a.detach().clone().requires_grad_()
        y, expected = norm(b), plain(a)
        dy = torch.randn(4, 8, 8)
        y.backward(dy)
        expected.backward(dy)
        torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-6, atol=1e-6)
    for name, value in norm.named_buffers():
        assert torch.equal(value, plain.get_buffer(name)), name
    for name, parameter in norm.named_parameters():
        torch.testing.assert_close(parameter.grad, plain.get_parameter(name).grad)


@FORMS
@pytest.mark.parametrize("mode", ["robust", "paper"])
def test_trains_compiled_as_one_graph(form: dict[str, bool], mode: str) -> None:
    eager, norm = UnifiedNorm(8, mode=mode, **form), UnifiedNorm(8, mode=mode, **form)
    compiled = torch.compile(norm, fullgraph=True, backend="aot_eager")
    for x in torch.randn(3, 4, 5, 8):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = compiled(b), eager(a)
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
        y.sum().backward()
        expected.sum().backward()
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_var, eager.running_var, rtol=1e-6, atol=0)


@FORMS
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_stays_half(form: dict[str, bool], training: bool) -> None:
    norm = UnifiedNorm(8, **form).bfloat16().train(training)
    x = torch.randn(4, 5, 8, dtype=torch.bfloat16, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    assert norm.running_var.dtype == torch.float32
