"""The paper's rule against a plain reference, forward and backward."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

EPS = 1e-5


def geometric_mean(window: np.ndarray) -> np.ndarray:
    return np.exp(np.log(window).mean(0))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("window", "filtration"), [(1, False), (1, True), (4, False), (4, True)])
def test_training_equals_the_plain_reference(window: int, filtration: bool, padded: bool) -> None:
    torch.manual_seed(0)
    norm = UnifiedNorm(
        3,
        mode="paper",
        window_size=window,
        warmup_iters=3,
        outlier_filtration=filtration,
        momentum=0.8,
    ).double()
    torch.nn.init.normal_(norm.weight)
    weight = norm.weight.detach().numpy()
    running_var, psi = np.ones(3), np.zeros(3)
    moments: list[np.ndarray] = []
    gradient_moments: list[np.ndarray] = []
    times_filtered = 0
    for step in range(24):
        x = torch.randn(4, 5, 3, dtype=torch.float64) * torch.tensor([1.0, 0.1, 5.0])
        if step in (3, 9):  # before and after the window is full
            x[..., 1] *= 30
        x.requires_grad_()
        dy = torch.randn_like(x)
        mask = torch.rand(4, 5) < 0.3 if padded else torch.zeros(4, 5, dtype=torch.bool)
        norm.zero_grad()
        y = norm(x, mask if padded else None)
        y.backward(dy)

        a = x.detach().numpy()
        real = ~mask.numpy()
        moment = (a[real] ** 2).mean(0)
        before = np.array(moments[-window:])
        moments.append(moment)
        recent = np.array(moments[-window:])
        warm = step < 3
        filtered = np.zeros(3, dtype=bool)
        if filtration and window > 1 and not warm and len(before) == window:
            gap = recent.mean(0) - geometric_mean(recent)
            filtered = gap > window * np.sqrt(before).var(0, ddof=1)
        times_filtered += int(filtered.sum())
        var = np.where(warm | filtered, moment, geometric_mean(recent))
        std = np.sqrt(var + EPS)
        z = a / std
        g = dy.numpy() * weight
        m = (g * z).sum((0, 1)) / real.sum()
        gradient_moments.append(np.where(filtered, psi, m))
        mean = m if warm else np.mean(gradient_moments[-window:], axis=0)
        smooth = 0.8 * psi + 0.2 * mean
        psi_now = np.where(filtered, m, smooth)
        psi = np.where(filtered, psi, smooth)
        running_var = np.where(filtered, running_var, 0.8 * running_var + 0.2 * var)

        assert x.grad is not None
        assert norm.weight.grad is not None
        np.testing.assert_allclose(y.detach(), weight * z, rtol=1e-11)
        np.testing.assert_allclose(norm.weight.grad, (dy.numpy() * z).sum((0, 1)), rtol=1e-11)
        expected = (g - np.where(real[..., None], z * psi_now, 0)) / std
        np.testing.assert_allclose(x.grad, expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(norm.running_var, running_var, rtol=1e-11)
        np.testing.assert_allclose(norm.psi, psi, rtol=1e-11, atol=1e-14)
    assert (times_filtered > 0) == (filtration and window > 1)


def test_an_outlier_is_kept_out_of_running_var_and_a_shift_is_followed() -> None:
    torch.manual_seed(0)
    norm = UnifiedNorm(64, mode="paper", warmup_iters=0, outlier_filtration=True)
    for _ in range(50):
        norm(torch.randn(32, 50, 64))
    before = norm.running_var.clone()
    outlier = torch.randn(32, 50, 64)
    outlier[0, 0] = 1000
    norm(outlier)
    assert torch.equal(norm.running_var, before)
    for _ in range(50):
        norm(3 * torch.randn(32, 50, 64))
    torch.testing.assert_close(norm.running_var, torch.full((64,), 9.0), rtol=0.1, atol=0)


def test_rounding_is_no_outlier() -> None:
    """The same batch again and again: its spread is 0, and running_var must still learn it."""
    torch.manual_seed(0)
    norm = UnifiedNorm(64, mode="paper", warmup_iters=0, outlier_filtration=True)
    x = 3 * torch.randn(8, 10, 64)
    for _ in range(100):
        norm(x)
    torch.testing.assert_close(norm.running_var, x.square().mean((0, 1)), rtol=1e-4, atol=0)
