"""The nearest scale and shift of each channel, against numpy's least squares."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.conversion.fits.fixed_affine import set_affine  # noqa: E402
from un_deploy.conversion.fits.least_squares import ChannelFit  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 3, generator=generator) + torch.tensor([0.0, 5.0, -2.0])
    noise = torch.randn(200, 3, generator=generator)
    return x, torch.tensor([2.0, -1.0, 0.5]) * x + 3 + 0.3 * noise


def test_scale_and_shift_are_those_of_numpy() -> None:
    x, y = drawn()
    fit = ChannelFit(3, x.device)
    for some in range(0, 200, 50):  # in parts, as batches come
        fit.add(x[some : some + 50], y[some : some + 50])
    scale, shift = fit.affine()
    for channel in range(3):
        left = np.stack([x[:, channel].double(), np.ones(200)], 1)
        right = y[:, channel].double().numpy()
        (a, b), *_ = np.linalg.lstsq(left, right, rcond=None)
        assert scale[channel].item() == pytest.approx(a, rel=1e-9)
        assert shift[channel].item() == pytest.approx(b, rel=1e-9)
    assert fit.tokens == 200
    rest = y.double() - (scale * x + shift)
    whole = y.double() - y.double().mean(0)
    expected = float(rest.square().sum() / whole.square().sum())
    assert fit.unexplained() == pytest.approx(expected, rel=1e-6)


def test_a_channel_that_does_not_vary_becomes_its_mean_output() -> None:
    fit = ChannelFit(1, torch.device("cpu"))
    fit.add(torch.full((4, 1), 7.0), torch.tensor([[1.0], [2.0], [3.0], [6.0]]))
    scale, shift = fit.affine()
    assert (scale.item(), shift.item()) == (0.0, 3.0)


def test_a_unified_norm_takes_the_affine_and_its_statistics() -> None:
    x, y = drawn()
    fit = ChannelFit(3, x.device)
    fit.add(x, y)
    norm = UnifiedNorm(3).eval()
    set_affine(norm, fit)
    scale, shift = fit.affine()
    wanted = (scale * x + shift).float()
    torch.testing.assert_close(norm(x), wanted)
    torch.testing.assert_close(norm.running_var, x.square().mean(0))
    assert int(norm.iters) == 1
