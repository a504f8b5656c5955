"""The robust rule: its numbers against a plain reference, and what it promises on real streams."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

CHANNELS = 64
BATCH = (32, 50)
EPS = 1e-5


def steady(steps: int, seed: int = 0, heavy_tailed: bool = False) -> Iterator[torch.Tensor]:
    """Batches (32, 50, 64) of unit scale: Gaussian, or Student t with 5 degrees of freedom."""
    generator = np.random.default_rng(seed)
    for _ in range(steps):
        shape = (*BATCH, CHANNELS)
        x = generator.standard_t(5, shape) if heavy_tailed else generator.standard_normal(shape)
        yield torch.from_numpy(x.astype(np.float32))


def smoothed(window: np.ndarray, tau: float | None = 2.0) -> np.ndarray:
    """v of the rule, by loops: window (n, C) of second moments, the newest last."""
    v = np.empty(window.shape[1])
    for c, moments in enumerate(window.T):
        logs = [math.log(m + EPS) for m in moments]
        kept = [u for u in logs if tau is None or abs(u - logs[-1]) <= math.log(tau)]
        v[c] = math.exp(sum(kept) / len(kept))
    return v


def spared(x: np.ndarray) -> np.ndarray:
    """x (sequences, positions, C) with its outlier tokens at half of the usual size."""
    sizes = np.sqrt((x**2).sum(-1))
    largest = (np.sort(sizes.max(axis)) for axis in (1, 0))
    usual = max(ordered[(len(ordered) - 1) // 2] for ordered in largest)
    factors = np.where(sizes > 2 * usual, usual / 2 / sizes, 1.0)
    return x * factors[..., None]


@pytest.mark.parametrize(
    ("settings", "tau"),
    [({}, 2.0), ({"outlier_filtration": False}, None)],
    ids=["filtered", "unfiltered"],
)
@pytest.mark.parametrize("window_size", [1, 4, 9])
def test_forward_and_state_equal_the_plain_reference(
    settings: dict[str, bool], tau: float | None, window_size: int
) -> None:
    torch.manual_seed(0)
    norm = UnifiedNorm(3, window_size=window_size, warmup_iters=2, momentum=0.8, **settings)
    norm.double()
    running_var = np.ones(3)
    moments: list[np.ndarray] = []
    kept = max(8, window_size)
    for step in range(24):
        x = torch.randn(4, 5, 3, dtype=torch.float64) * torch.tensor([1.0, 0.1, 5.0])
        if step in (6, 7, 15):
            x = x * 30
        y = norm(x)

        scaled = spared(x.numpy())
        moments.append((scaled**2).mean((0, 1)))
        v = moments[-1] + EPS if step < 2 else smoothed(np.array(moments[-window_size:]), tau)
        running_var = 0.8 * running_var + 0.2 * np.median(moments[-kept - 1 :], axis=0)
        np.testing.assert_allclose(y.detach(), scaled / np.sqrt(v), rtol=1e-12)
        np.testing.assert_allclose(norm.running_var, running_var, rtol=1e-12)
        filled = min(step + 1, kept)
        np.testing.assert_allclose(norm.history[-filled:], moments[-filled:], rtol=1e-12)
        assert int(norm.iters) == step + 1


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("window_size", [1, 4])
def test_gradients_are_the_exact_derivative(window_size: int, padded: bool) -> None:
    """Of weight * r * x / sqrt(s2 + eps) + bias with r held constant; for a window of 1, r = 1."""
    torch.manual_seed(0)
    norm = UnifiedNorm(6, window_size=window_size).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    scales = torch.tensor([1, 0.5, 3, 1e-3, 20, 0.1], dtype=torch.float64)
    for _ in range(6):
        norm(torch.randn(3, 7, 6, dtype=torch.float64) * scales)

    x = (torch.randn(3, 7, 6, dtype=torch.float64) * scales * 1.2).requires_grad_()
    dy = torch.randn_like(x)
    mask = torch.rand(3, 7) < 0.4 if padded else torch.zeros(3, 7, dtype=torch.bool)
    y = norm(x, mask if padded else None)
    y.backward(dy)

    with torch.no_grad():
        sqrt_v = (x / ((y - norm.bias) / norm.weight))[0, 0]
    moment = (x * x)[~mask].mean(0)
    std = torch.sqrt(moment + EPS)
    r = (std / sqrt_v).detach()
    if window_size == 1:
        torch.testing.assert_close(r, torch.ones_like(r), rtol=1e-12, atol=0)
    else:
        assert (r - 1).abs().max() > 0.01
    exact = norm.weight * r * x / std + norm.bias
    expected = torch.autograd.grad(exact, (x, norm.weight, norm.bias), dy)
    for got, want in zip((x.grad, norm.weight.grad, norm.bias.grad), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("heavy_tailed", [False, True])
def test_steady_data_is_not_filtered(heavy_tailed: bool) -> None:
    """At most 2 % of (step, channel, entry); what is seen is 0."""
    norm = UnifiedNorm(CHANNELS)
    filtered = []
    for step, x in enumerate(steady(60, heavy_tailed=heavy_tailed)):
        y = norm(x)
        if step < 3:
            continue
        window = norm.history[-4:].double().numpy()
        left_out = np.abs(np.log((window + EPS) / (window[-1] + EPS))) > math.log(2)
        filtered.append(left_out.mean())
        v = (x / y)[0, 0].detach().double().numpy() ** 2
        np.testing.assert_allclose(v, smoothed(window), rtol=1e-5)
    assert np.mean(filtered) <= 0.02


@pytest.mark.parametrize(("factor", "limit"), [(3.0, 50), (1 / 3, 50)])
def test_a_lasting_change_is_followed(factor: float, limit: int) -> None:
    """Within 10 % in every channel; seen after 28 and 48 steps."""
    norm = UnifiedNorm(CHANNELS)
    for x in steady(60):
        norm(x)
    for x in steady(limit, seed=1):
        norm(x * factor)
    assert (norm.running_var / factor**2 - 1).abs().max() < 0.1


def worst_move(outliers: set[int], what: tuple[int, ...], steps: int = 50) -> float:
    """Largest relative L2 change of evaluation outputs when some batches hold `what` x 1000."""
    clean, hit = UnifiedNorm(CHANNELS), UnifiedNorm(CHANNELS)
    for x in steady(60):
        clean(x)
        hit(x)
    worst = 0.0
    for step, x in enumerate(steady(steps, seed=1)):
        clean(x)
        if step in outliers:
            x[what] *= 1000
        hit(x)
        probe = torch.ones(CHANNELS)
        expected = clean.eval()(probe)
        error = (hit.eval()(probe) - expected).norm() / expected.norm()
        worst = max(worst, error.item())
        clean.train()
        hit.train()
    return worst


TOKEN, SEQUENCE = (0, 0), (0,)
"""A token is scaled down; of a sequence that is too large as a whole the filter takes care."""


def test_outlier_batches_hardly_move_evaluation() -> None:
    """A sequence x 1000: below 1 % for one batch, below 2 % for five spread over 50 steps."""
    assert 0 < worst_move({5}, SEQUENCE, steps=20) < 0.01
    assert 0 < worst_move({3, 12, 22, 33, 43}, SEQUENCE) < 0.02


def test_outlier_tokens_do_not_move_evaluation() -> None:
    """In as many batches as may be."""
    assert worst_move({5}, TOKEN, steps=20) < 1e-4
    assert worst_move({*range(50)}, TOKEN) < 1e-3


def test_five_outlier_batches_within_nine_are_taken_for_a_shift() -> None:
    """The median of nine tolerates four; a rule that ignored five would follow no shift."""
    assert worst_move({5, 6, 7, 8}, SEQUENCE, steps=20) < 0.02
    assert worst_move({5, 7, 9, 11, 13}, SEQUENCE, steps=20) > 0.3


def test_dead_and_extreme_channels_stay_finite() -> None:
    norm = UnifiedNorm(6)
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.0, 1e-20, 1e4, 1.0, 1.0, 1e-3])
    for step in range(40):
        x = torch.randn(8, 10, 6, generator=generator) * scales
        if step % 3:
            x[..., 3] = 0  # alive in one batch of three
        if step % 2:
            x[..., 4] *= 1e4
        x.requires_grad_()
        y = norm(x)
        y.backward(torch.randn(y.shape, generator=generator))
        assert x.grad is not None
        assert norm.weight.grad is not None
        for tensor in (y, x.grad, norm.weight.grad, norm.running_var, norm.history):
            assert tensor.isfinite().all()
    assert norm.eval()(torch.ones(6)).isfinite().all()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_batch_that_overflows_never_reaches_evaluation(compiled: bool) -> None:
    norm = UnifiedNorm(CHANNELS)
    run = torch.compile(norm, fullgraph=True, backend="aot_eager") if compiled else norm
    for x in steady(20):
        run(x)
    before = norm.running_var.clone()
    for bad in (math.inf, math.nan):
        run(torch.full((1, 2, CHANNELS), bad))
    for x in steady(20, seed=1):
        assert run(x).isfinite().all()
    torch.testing.assert_close(norm.running_var, before, rtol=0.2, atol=0)
