"""Statistics taken anew from data, or frozen, with weights as they are."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

import un_deploy  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, freeze_statistics, recalibrate, require_trained  # noqa: E402

pytestmark = pytest.mark.torch

MODES = ["robust", "paper", "official"]
CHANNELS = 8


def network(**settings: Any) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(CHANNELS, CHANNELS),
        UnifiedNorm(CHANNELS, **settings),
        nn.Dropout(0.5),
        nn.Linear(CHANNELS, CHANNELS),
        UnifiedNorm(CHANNELS, **settings),
    )


def batches(count: int = 20, outlier: int | None = None) -> list[Tensor]:
    """Of 512 tokens; in one batch one token is a thousand times as large."""
    x = torch.randn(count, 16, 32, CHANNELS, generator=torch.Generator().manual_seed(1))
    if outlier is not None:
        x[outlier, 0, 0] *= 1000
    return list(x)


def states(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_it_is_public() -> None:
    assert un_deploy.recalibrate is recalibrate


@pytest.mark.parametrize("mode", MODES)
def test_outputs_have_unit_moments_after_other_weights(mode: str) -> None:
    """As with `update_bn`; without dropout, since that is how the network is deployed."""
    model = network(mode=mode).eval()
    nn.init.normal_(model[0].weight, std=3)
    weights = {name: p.clone() for name, p in model.named_parameters()}
    recalibrate(model, batches())
    y = torch.cat([model(x) for x in batches()])
    torch.testing.assert_close(y.square().mean((0, 1)), torch.ones(CHANNELS), rtol=0.05, atol=0)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, weights[name])
        assert parameter.grad is None and parameter.requires_grad
    require_trained(model)


def test_what_was_learnt_before_has_no_part() -> None:
    one, other = network(), network()
    for x in batches(5):
        other(100 * x)
    recalibrate(one, batches())
    recalibrate(other, batches())
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize(
    ("count", "outlier", "moved"), [(9, 0, 0.15), (9, 7, 0.15), (40, 0, 0.05), (40, 13, 0.05)]
)
def test_a_batch_with_an_outlier_has_next_to_no_part(
    count: int, outlier: int, moved: float
) -> None:
    """Wherever it stands. Its own moment is two thousand times the others'."""
    clean, hit = network(), network()
    recalibrate(clean, batches(count))
    recalibrate(hit, batches(count, outlier))
    for norm, expected in ((hit[1], clean[1]), (hit[4], clean[4])):
        torch.testing.assert_close(norm.running_var, expected.running_var, rtol=moved, atol=0)


def test_running_var_is_the_mean_of_the_medians_of_nine() -> None:
    norm = UnifiedNorm(CHANNELS)
    data = batches(12)
    recalibrate(nn.Sequential(norm), data)
    moments = torch.stack([x.square().mean((0, 1)) for x in data])
    medians = torch.stack([moments[k : k + 9].quantile(0.5, dim=0) for k in range(4)])
    torch.testing.assert_close(norm.running_var, medians.mean(0), rtol=1e-5, atol=0)
    assert int(norm.iters) == 12
    recalibrate(nn.Sequential(norm), data[:3])
    torch.testing.assert_close(norm.running_var, moments[:3].median(0).values, rtol=1e-5, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_modes_and_settings_are_left_as_they_were(training: bool) -> None:
    model = network().train(training)
    model[1].eval()
    before = [(module.training, getattr(module, "rule", None)) for module in model.modules()]
    recalibrate(model, batches(2))
    assert before == [(m.training, getattr(m, "rule", None)) for m in model.modules()]


class ByName(nn.Module):
    """Takes its input by a name, and knows which were given."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = UnifiedNorm(CHANNELS)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return self.norm(x * scale)


@pytest.mark.parametrize(
    "form",
    [
        lambda x: (x, torch.zeros(16)),
        lambda x: [x, torch.zeros(16)],
        lambda x: {"x": x},
        lambda x: {"x": x / 2, "scale": 2.0},
    ],
    ids=["tuple", "list", "mapping", "mapping with a number"],
)
def test_batches_of_other_forms(form: Any) -> None:
    plain, model = ByName(), ByName()
    recalibrate(plain, batches(3))
    recalibrate(model, (form(x) for x in batches(3)))
    assert torch.equal(plain.norm.running_var, model.norm.running_var)


def test_the_caller_may_run_a_batch() -> None:
    """With a padding mask, say."""
    model = nn.Sequential(UnifiedNorm(CHANNELS))
    mask = torch.arange(32).expand(16, 32) >= 8
    padded = [x.masked_fill(mask[..., None], 1e4) for x in batches(3)]
    recalibrate(model, padded, forward=lambda x: model[0](x, mask))
    cut = nn.Sequential(UnifiedNorm(CHANNELS))
    recalibrate(cut, [x[:, :8] for x in padded])
    torch.testing.assert_close(model[0].running_var, cut[0].running_var)


@pytest.mark.parametrize(
    ("loader", "named"),
    [
        ([], r"no batch reached 1, 4"),
        ([torch.randn(2, CHANNELS + 1)], "mat1 and mat2"),
        ([torch.randn(2, CHANNELS), torch.randn(2, 3)], "mat1 and mat2"),
        ([torch.randn(0, CHANNELS)], r"no batch reached 1, 4"),
    ],
    ids=["empty", "another width", "the second of another width", "no token"],
)
def test_after_an_error_all_is_as_it_was(loader: list[Tensor], named: str) -> None:
    model = network()
    for x in batches(3):
        model(x)
    before = states(model)
    with pytest.raises((InputError, RuntimeError), match=named):
        recalibrate(model, loader)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert model[1].rule.momentum == 0.9 and model[2].training


def test_a_model_without_such_norms_is_refused() -> None:
    for change in (lambda model: recalibrate(model, batches(1)), freeze_statistics):
        with pytest.raises(InputError, match="Sequential holds no UnifiedNorm"):
            change(nn.Sequential(nn.BatchNorm1d(CHANNELS)))


@pytest.mark.parametrize("mode", MODES)
def test_frozen_norms_train_their_weights_alone(mode: str) -> None:
    model = network(mode=mode)
    for x in batches(12):
        model(x)
    freeze_statistics(model)
    before = states(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x in batches(3):
        optimizer.zero_grad()
        model.train()(5 * x).square().mean().backward()
        optimizer.step()
    buffers = {name for name, _ in model.named_buffers()}
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == (name in buffers), name


def test_a_frozen_norm_trains_as_it_evaluates_and_has_all_derivatives() -> None:
    """It is a scale and a shift, so `torch.func` and second derivatives go through."""
    norm = UnifiedNorm(CHANNELS).double()
    for x in batches(3):
        norm(x.double())
    norm.frozen = True
    x = batches(1)[0][0, :2].double().requires_grad_()
    assert torch.equal(norm(x), norm.eval()(x))
    norm.train()
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradgradcheck(norm, (x,))
    expected = (norm.weight / (norm.running_var + norm.eps).sqrt()).expand(2, CHANNELS)
    assert torch.equal(torch.func.grad(lambda x: norm(x).sum())(x), expected)


def test_the_switch_goes_both_ways_and_shows() -> None:
    model = network()
    freeze_statistics(model)
    assert all(repr(model[k]).endswith(", frozen)") for k in (1, 4))
    with pytest.raises(InputError, match="not frozen"):
        recalibrate(model, batches(1))
    model[1].frozen = False
    recalibrate(model, batches(1))
    assert (int(model[1].iters), int(model[4].iters)) == (1, 0)
    freeze_statistics(model, False)
    model(batches(1)[0])
    assert (int(model[1].iters), int(model[4].iters)) == (2, 1)
