"""A LayerNorm that fades: its gate, its running averages, and the affine it ends as."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from un_deploy.conversion.fits.least_squares import ChannelFit  # noqa: E402
from un_deploy.conversion.training.fading_norm import FadingNorm  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch


def drawn(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    lengths = 0.5 + torch.rand(4, 5, 1, generator=generator)
    return lengths * torch.randn(4, 5, 8, generator=generator)


def fading() -> FadingNorm:
    torch.manual_seed(0)
    norm = nn.LayerNorm(8)
    nn.init.normal_(norm.weight)
    return FadingNorm(norm, UnifiedNorm(8))


def test_at_gate_one_it_is_the_norm() -> None:
    model = fading()
    x = drawn(0)
    assert torch.equal(model(x), model.norm(x))


def test_half_faded_it_is_the_mean_of_both() -> None:
    model = fading()
    model(drawn(0))
    model.fade_to(0.5)
    x = drawn(1)
    torch.testing.assert_close(model(x), (model.norm(x) + model.unified(x)) / 2)


def test_the_affine_is_the_least_squares_of_the_running_averages() -> None:
    model = fading()
    batches = [drawn(seed) for seed in range(3)]
    fit = ChannelFit(8, torch.device("cpu"))
    for age, batch in zip((2, 1, 0), batches, strict=True):
        model(batch)
        part = ChannelFit(8, torch.device("cpu"))
        part.add(batch.reshape(-1, 8), model.norm(batch).detach().reshape(-1, 8))
        fit.sums += 0.98**age * part.sums / 20
        fit.tokens += 0.98**age
    model.fade_to(0.0)
    x = drawn(9)
    scale, shift = fit.affine()
    torch.testing.assert_close(model(x), (scale * x + shift).float())


def test_evaluation_counts_nothing_and_scale_and_shift_train() -> None:
    model = fading()
    model.eval()(drawn(0))
    assert not model.averages.any()
    model.train()(drawn(0))
    model.fade_to(0.0)
    model(drawn(1)).square().sum().backward()
    assert model.unified.weight.grad.abs().min() > 0 and model.unified.bias.grad.abs().min() > 0
    assert model.norm.weight.grad is None
    before = model.unified.running_var.clone()
    model(drawn(2))
    assert torch.equal(model.unified.running_var, before)


def test_it_cannot_fade_unseen() -> None:
    with pytest.raises(InputError, match="only after batches in training mode"):
        fading().fade_to(0.9)
