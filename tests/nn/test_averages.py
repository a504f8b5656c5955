"""Averages of a network's state (EMA, SWA), as trainers keep them, evaluate, train on and load."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn  # noqa: E402

from un_deploy.nn import UnifiedNorm, load_checkpoint, recalibrate, require_trained  # noqa: E402

pytestmark = pytest.mark.torch

MODES = ["robust", "paper"]
EMPTY = torch.finfo(torch.float32).min
"""What histories of earlier versions were filled with."""


def batches(count: int) -> list[Tensor]:
    return list(torch.randn(count, 4, 10, 8, generator=torch.Generator().manual_seed(0)) * 2)


def lerp_floats(average: nn.Module, model: nn.Module) -> None:
    """As timm's ModelEmaV3 averages a state_dict: integers are copied."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 0.1)
        else:
            old.copy_(new)


def of_pytorch(**settings: Any) -> Callable[[nn.Module], tuple[nn.Module, Callable[[], None]]]:
    def make(model: nn.Module) -> tuple[nn.Module, Callable[[], None]]:
        average = AveragedModel(model, use_buffers=True, **settings)
        return average.module, lambda: average.update_parameters(model)

    return make


def of_a_state(model: nn.Module) -> tuple[nn.Module, Callable[[], None]]:
    average = deepcopy(model)
    return average, lambda: lerp_floats(average, model)


AVERAGES = {
    "ema": of_pytorch(multi_avg_fn=get_ema_multi_avg_fn(0.9)),
    "swa": of_pytorch(),
    "state": of_a_state,
}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("mode", MODES)
def test_an_average_begun_with_the_training_is_whole(mode: str, average: str) -> None:
    """Averages of the first, unfilled histories are numbers, and so is what is trained from them:
    neither running_var nor outputs move far from the model's."""
    model = nn.Sequential(UnifiedNorm(8, mode=mode, warmup_iters=0))
    averaged, update = AVERAGES[average](model)
    for x in batches(30):
        model(x)
        update()
    require_trained(averaged)
    history = averaged[0].history
    assert (history > 0.5).all() and (history < 8).all()
    for x in batches(6):
        y = averaged(x)
        assert ((y.square().mean((0, 1)) > 0.5) & (y.square().mean((0, 1)) < 2)).all()
    running_var = averaged[0].running_var
    assert ((running_var > 1) & (running_var < 8)).all()


def test_the_average_of_running_var_is_its_mean() -> None:
    model = nn.Sequential(UnifiedNorm(8))
    average = AveragedModel(model, use_buffers=True)
    seen = []
    for x in batches(5):
        model(x)
        average.update_parameters(model)
        seen.append(model[0].running_var.clone())
    torch.testing.assert_close(average.module[0].running_var, torch.stack(seen).mean(0))


def test_averaged_weights_are_recalibrated_where_update_bn_does_nothing() -> None:
    model = nn.Sequential(nn.Linear(8, 8), UnifiedNorm(8))
    average = AveragedModel(model)
    model(batches(1)[0])
    average.update_parameters(model)
    nn.init.normal_(average.module[0].weight, std=5)
    before = average.module[1].running_var.clone()
    torch.optim.swa_utils.update_bn(batches(9), average)
    assert torch.equal(average.module[1].running_var, before)
    recalibrate(average, batches(9))
    y = average.eval()(torch.cat(batches(9)))
    torch.testing.assert_close(y.square().mean((0, 1)), torch.ones(8), rtol=0.2, atol=0)


@pytest.mark.parametrize("load", [load_checkpoint, nn.Module.load_state_dict])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("steps", [0, 3, 12])
def test_histories_of_earlier_versions_are_converted(
    mode: str, steps: int, load: Callable[[nn.Module, dict[str, Any]], object]
) -> None:
    """Strictly; training goes on as from today's state."""
    model, loaded = UnifiedNorm(8, mode=mode), UnifiedNorm(8, mode=mode)
    for x in batches(steps):
        model(x)
    old = {name: value.clone() for name, value in model.state_dict().items()}
    old["history"][: max(0, 8 - steps)] = EMPTY
    load(loaded, old)
    assert (loaded.history > 0).all()
    for x in batches(4):
        assert torch.equal(loaded(x), model(x))
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_an_old_state_that_no_loader_converted_trains_alike() -> None:
    """from_pretrained of transformers sets tensors itself."""
    model, other = UnifiedNorm(8), UnifiedNorm(8)
    other.history.fill_(EMPTY)
    for x in batches(5):
        assert torch.equal(model(x), other(x))
    assert torch.equal(model.running_var, other.running_var)
