"""A UN whose channels are axis 1 is the UN of the moved axes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

SHAPES = [(4, 8), (4, 8, 10), (4, 8, 3, 5), (2, 8, 3, 5, 2)]


@pytest.mark.parametrize("mode", ["robust", "paper"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_trains_and_evaluates_as_with_the_channels_last(shape: tuple[int, ...], mode: str) -> None:
    torch.manual_seed(0)
    first, last = UnifiedNorm(8, mode=mode, channel_first=True), UnifiedNorm(8, mode=mode)
    for norm in (first, last):
        nn.init.constant_(norm.bias, 0.5)
    for _ in range(6):
        x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
        y = first(x)
        y.backward(dy)
        z = x.detach().movedim(1, -1).requires_grad_()
        expected = last(z)
        expected.backward(dy.movedim(1, -1))
        torch.testing.assert_close(y, expected.movedim(-1, 1))
        torch.testing.assert_close(x.grad, z.grad.movedim(-1, 1))
    torch.testing.assert_close(first.weight.grad, last.weight.grad)
    torch.testing.assert_close(first.running_var, last.running_var)
    x = torch.randn(shape)
    torch.testing.assert_close(first.eval()(x), last.eval()(x.movedim(1, -1)).movedim(-1, 1))


def test_a_mask_has_the_shape_without_the_channels() -> None:
    norm = UnifiedNorm(8, channel_first=True)
    norm(torch.randn(2, 8, 3, 5), torch.zeros(2, 3, 5, dtype=torch.bool))
    with pytest.raises(InputError, match=r"of shape \(2, 3, 5\)"):
        norm(torch.randn(2, 8, 3, 5), torch.zeros(2, 8, 3, dtype=torch.bool))


@pytest.mark.parametrize("shape", [(8,), (2, 5, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="its axis 1 must be 8 long"):
        UnifiedNorm(8, channel_first=True).eval()(torch.randn(shape))


def test_says_so() -> None:
    assert repr(UnifiedNorm(8, channel_first=True)).endswith("momentum=0.9, channel_first=True)")


def test_compiles_as_one_graph() -> None:
    norm, plain = UnifiedNorm(8, channel_first=True), UnifiedNorm(8, channel_first=True)
    torch.compiler.reset()
    run = torch.compile(norm, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(run(x), plain(x))
    torch.testing.assert_close(norm.running_var, plain.running_var)
