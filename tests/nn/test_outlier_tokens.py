"""A token that explodes harms nobody else, and where none does nothing is changed at all."""

from __future__ import annotations

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from un_deploy.nn import UnifiedNorm, outlier_tokens, robust  # noqa: E402
from un_deploy.nn.outlier_tokens import LIMIT, TARGET, without_outliers  # noqa: E402

pytestmark = pytest.mark.torch

SEQUENCES, POSITIONS, CHANNELS = 32, 50, 16


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def unprotected(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Norms train as if there were no rule for tokens, until it is undone."""
    monkeypatch.setattr(robust, "without_outliers", lambda x, padding_mask: x)
    return monkeypatch


def tokens(*shape: int) -> Tensor:
    return torch.randn(shape or (SEQUENCES, POSITIONS, CHANNELS))


def filled(dtype: torch.dtype = torch.float32) -> UnifiedNorm:
    """A norm with random parameters and a history."""
    norm = UnifiedNorm(CHANNELS)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    norm.to(dtype)
    for _ in range(9):
        norm(tokens().to(dtype))
    return norm


def trained(norm: UnifiedNorm) -> list[Tensor]:
    """Parameters and statistics after ten steps of a small network."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), norm, nn.Linear(CHANNELS, 3))
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    for _ in range(10):
        optimizer.zero_grad()
        target = torch.randint(3, (SEQUENCES,))
        F.cross_entropy(network(tokens()).mean(1), target).backward()
        optimizer.step()
    return [value.clone() for value in network.state_dict().values()]


@pytest.mark.parametrize("on_host", [True, False], ids=["host", "as on a device"])
def test_without_outliers_training_is_bit_for_bit_the_same(
    unprotected: pytest.MonkeyPatch, on_host: bool
) -> None:
    expected = trained(UnifiedNorm(CHANNELS))
    unprotected.undo()
    unprotected.setattr(outlier_tokens, "is_on_host", lambda x: on_host)
    for got, want in zip(trained(UnifiedNorm(CHANNELS)), expected, strict=True):
        assert torch.equal(got, want)


def gradient(norm: UnifiedNorm, x: Tensor) -> Tensor:
    """Of a loss of all sequences but the first five, with respect to their x."""
    torch.manual_seed(2)
    x = x.clone().requires_grad_()
    weights = torch.randn_like(x)
    (F.gelu(deepcopy(norm)(x)) * weights)[5:].sum().backward()
    assert x.grad is not None
    return x.grad[5:]


def likeness(norm: UnifiedNorm, clean: Tensor, hit: Tensor) -> float:
    """Cosine of the others' gradients with and without outliers."""
    one, other = gradient(norm, clean).flatten(), gradient(norm, hit).flatten()
    return F.cosine_similarity(one, other, dim=0).item()


@pytest.mark.parametrize("sequences", [1, 5])
@pytest.mark.parametrize("size", [10.0, 100.0, 1000.0, 1e15])
def test_an_outlier_harms_no_other_sequence(sequences: int, size: float) -> None:
    norm, clean = filled(), tokens()
    hit = clean.clone()
    hit[:sequences, 7] *= size
    assert likeness(norm, clean, hit) > 0.999
    assert torch.equal(without_outliers(hit, None)[5:], hit[5:])


def test_of_the_rule_without_it_nothing_is_left(unprotected: pytest.MonkeyPatch) -> None:
    """Else there would be nothing to protect from."""
    norm, clean = filled(), tokens()
    hit = clean.clone()
    hit[0, 7] *= 1000
    assert likeness(norm, clean, hit) < 0.7


def test_outliers_in_every_step_teach_nothing() -> None:
    """What is usual is told by the batch alone, and statistics follow the scaled tokens."""
    clean, hit = UnifiedNorm(CHANNELS), UnifiedNorm(CHANNELS)
    for _ in range(30):
        x = tokens()
        clean(x)
        x[:3, 7] *= 1000
        hit(x)
    torch.testing.assert_close(hit.running_var, clean.running_var, rtol=0.01, atol=0)


def test_an_outlier_is_scaled_to_a_share_of_the_usual_size() -> None:
    x = torch.ones(4, 3, 4)  # of size 2
    x[1, 1] = 2 * LIMIT
    y = without_outliers(x, None)
    assert torch.equal(y[1, 1], torch.full((4,), TARGET))
    y[1, 1] = x[1, 1] = 1.0
    assert torch.equal(y, x)
    x[1, 1] = LIMIT
    assert without_outliers(x, None) is x


@pytest.mark.parametrize("positions", [20, 50, 197, 1024])
@pytest.mark.parametrize("axis", [0, 1], ids=["positions first", "sequences first"])
def test_a_token_that_is_always_large_is_no_outlier(positions: int, axis: int) -> None:
    """At any share of the tokens, in either order of the axes."""
    x = tokens(SEQUENCES, positions, CHANNELS)
    x[:, 0] *= 100
    x = x if axis else x.transpose(0, 1).contiguous()
    assert without_outliers(x, None) is x


@pytest.mark.parametrize("shape", [(600, CHANNELS), (1, 600, CHANNELS), (600, 1, CHANNELS)])
def test_what_cannot_be_compared_stays(shape: tuple[int, ...]) -> None:
    """A single sequence: its large tokens may be usual ones."""
    x = tokens(*shape)
    x.view(-1, CHANNELS)[3] *= 1000
    assert without_outliers(x, None) is x


def test_a_batch_that_is_large_as_a_whole_is_no_outlier() -> None:
    norm, x = filled(), tokens() * 1000
    assert without_outliers(x, None) is x
    assert norm(x).isfinite().all()


def test_padding_is_neither_scaled_nor_compared_with() -> None:
    x, mask = tokens(), torch.zeros(SEQUENCES, POSITIONS, dtype=torch.bool)
    mask[:, 40:] = True
    mask[20:] = True  # most of a batch of few sequences
    x[mask] = 1e6
    assert without_outliers(x, mask) is x
    x[2, 3] *= 1000
    y = without_outliers(x, mask)
    changed = (y != x).any(-1).nonzero().tolist()
    assert changed == [[2, 3]]
    x[:, 41] = float("nan")
    assert torch.equal(without_outliers(x, mask)[2, 3], y[2, 3])
    assert without_outliers(x, torch.ones_like(mask)) is x


@pytest.mark.parametrize("padded", [False, True])
def test_gradients_are_the_derivative_with_the_factor_held_constant(padded: bool) -> None:
    """Against differences of weight * f x / sqrt(mean((f x)^2) + eps) + bias, f constant."""
    norm = UnifiedNorm(CHANNELS, window_size=1).double()
    nn.init.normal_(norm.weight)
    x = tokens(6, 8, CHANNELS).double()
    x[2, 3] *= 300
    mask = torch.zeros(6, 8, dtype=torch.bool)
    mask[4:, 5:] = padded
    dy = torch.randn_like(x)
    factors = without_outliers(x, mask) / x
    assert (factors != 1).any(-1).nonzero().tolist() == [[2, 3]]

    leaf = x.clone().requires_grad_()
    norm(leaf, mask if padded else None).backward(dy)

    def value(at: Tensor) -> float:
        scaled = at * factors
        moment = (scaled * scaled)[~mask].mean(0)
        y = norm.weight * scaled / (moment + norm.eps).sqrt() + norm.bias
        return (y * dy).sum().item()

    for place in [(2, 3, 0), (2, 3, 7), (0, 0, 0), (5, 4, 3), (4, 6, 2)]:
        step = torch.zeros_like(x)
        step[place] = 1e-5 * max(1.0, x[place].abs().item())
        difference = (value(x + step) - value(x - step)) / (2 * step[place].item())
        assert leaf.grad is not None
        assert leaf.grad[place].item() == pytest.approx(difference, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_dtype(dtype: torch.dtype) -> None:
    """A square of 60,000 is beyond float16."""
    x = tokens().to(dtype)
    x[0, 0] = 60_000
    y = without_outliers(x, None)
    assert y.dtype == dtype
    assert 0 < y[0, 0].norm() < x[1:].norm(dim=-1).max()
    assert torch.equal(y[1:], x[1:])


def test_compiled_without_a_break_it_is_the_same() -> None:
    eager, x = filled(), tokens().requires_grad_()
    compiled = deepcopy(eager)
    run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        x[3, 4] *= 1000
    found = []
    for norm in (eager, run):
        y = norm(x)
        (grad,) = torch.autograd.grad((y * y).sum(), x)
        found.append((y, grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(compiled.running_var, eager.running_var)


def test_evaluation_scales_nothing() -> None:
    norm, x = filled().eval(), tokens()
    x[0, 0] *= 1000
    expected = norm.weight * x / (norm.running_var + norm.eps).sqrt() + norm.bias
    torch.testing.assert_close(norm(x), expected, rtol=1e-6, atol=1e-5)


def test_no_state_is_added() -> None:
    """Checkpoints of before load strictly."""
    keys = {"weight", "bias", "running_var", "history", "iters"}
    assert UnifiedNorm(CHANNELS).state_dict().keys() == keys
