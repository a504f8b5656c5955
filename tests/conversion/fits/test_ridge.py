"""A linear layer fitted anew: against numpy, and only where held-out tokens gain by it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from un_deploy.conversion.fits.ridge import LinearFit, apply, best_step  # noqa: E402

pytestmark = pytest.mark.torch


def drawn(seed: int, tokens: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs, and what a layer lacks: a linear function of them, an offset, and noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, 4, generator=generator) + 1
    truth = torch.arange(12.0).reshape(3, 4) / 10
    return x, x @ truth.T - 2 + 0.1 * torch.randn(tokens, 3, generator=generator)


def fit_of(seed: int, layer: nn.Linear) -> LinearFit:
    fit = LinearFit(layer)
    x, lacks = drawn(seed)
    fit.add(x[:100], lacks[:100])
    fit.add(x[100:], lacks[100:])
    return fit


def test_without_a_ridge_it_is_numpys_least_squares() -> None:
    weight, bias = fit_of(0, nn.Linear(4, 3)).step(0.0)
    x, lacks = drawn(0)
    left = np.concatenate([x.double().numpy(), np.ones((300, 1))], 1)
    wanted, squares, *_ = np.linalg.lstsq(left, lacks.double().numpy(), rcond=None)
    np.testing.assert_allclose(weight.numpy(), wanted[:4].T, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(bias.numpy(), wanted[4], rtol=1e-7)
    fit = fit_of(0, nn.Linear(4, 3))
    assert fit.squares((weight, bias)) == pytest.approx(squares.sum() / 300, rel=1e-6)


def test_a_step_is_what_the_layer_lacked() -> None:
    layer = nn.Linear(4, 3)
    x, lacks = drawn(1)
    wanted = layer(x) + lacks
    step = best_step(fit_of(0, layer), fit_of(1, layer))
    assert step is not None
    apply(layer, step)
    assert (layer(x) - wanted).square().mean() < 0.011  # the noise's 0.01


def test_what_does_not_help_on_held_out_tokens_is_not_taken() -> None:
    layer = nn.Linear(4, 3)
    generator = torch.Generator().manual_seed(0)
    noise = [LinearFit(layer), LinearFit(layer)]
    for fit in noise:
        fit.add(*(torch.randn(6, width, generator=generator) for width in (4, 3)))
    assert best_step(*noise) is None


def test_a_layer_without_bias_gets_none() -> None:
    layer = nn.Linear(4, 3, bias=False)
    weight, bias = fit_of(0, layer).step(1e-3)
    assert weight.abs().max() > 0 and not bias.any()
