"""When norms fade, how a run is taken up again, and what stands there in the end."""

from __future__ import annotations

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.conversion.networks import images, pre_norm  # noqa: E402
from un_deploy.conversion.training.distillation import distil, distillation_loss  # noqa: E402
from un_deploy.conversion.training.schedule import Schedule  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch
NORMS = ["blocks.0.norm1", "blocks.0.norm2", "blocks.1.norm1", "blocks.1.norm2", "norm"]


def training(**settings: object) -> tuple[nn.Module, Schedule]:
    model = pre_norm()
    schedule = Schedule(model, images(1)[0], **{"steps": 20, "start": 0.1, "end": 0.9, **settings})
    model.train()
    model(**images(1)[0])
    return model, schedule


def test_all_inner_norms_fade_together_and_the_last_one_last() -> None:
    _, schedule = training()
    seen = []
    for _ in range(20):
        schedule.step()
        seen.append(schedule.gates)
    inner = [[gates[name] for name in NORMS[:-1]] for gates in seen]
    assert all(len(set(gates)) == 1 for gates in inner)
    first, last = [gates[0] for gates in inner], [gates["norm"] for gates in seen]
    assert first[:2] == [1.0, 1.0] and 0.9 < first[2] < 1 and first == sorted(first, reverse=True)
    assert first[13] == 0.0 < first[12] and last[13] == 1.0 > last[14]
    assert first[7] == pytest.approx(0.5)  # halfway along the cosine
    assert last[-3:] == [0.0, 0.0, 0.0]


def test_one_by_one_in_the_order_given_but_the_last_one_last() -> None:
    order = ["norm", *NORMS[3::-1]]
    _, schedule = training(order=order)
    gone: list[str] = []
    for _ in range(20):
        schedule.step()
        gates = schedule.gates
        assert sum(0 < gate < 1 for gate in gates.values()) <= 1
        gone += [name for name in gates if gates[name] == 0 and name not in gone]
    assert gone == [*NORMS[3::-1], "norm"]


def test_the_end_is_the_network_without_layer_norms() -> None:
    model, schedule = training()
    for _ in range(20):
        schedule.step()
    model.eval()
    before = model(**images(1)[0])
    assert schedule.finish() == NORMS
    assert all(isinstance(model.get_submodule(name), UnifiedNorm) for name in NORMS)
    assert torch.equal(model(**images(1)[0]), before)


def test_a_run_that_ends_early_keeps_what_has_not_gone() -> None:
    model, schedule = training(order=NORMS)
    for _ in range(10):
        schedule.step()
    gone = schedule.finish()
    assert gone == NORMS[:2]
    assert isinstance(model.norm, nn.LayerNorm)
    assert isinstance(model.blocks[1].norm1, nn.LayerNorm)


def test_a_run_is_taken_up_again() -> None:
    whole, schedule = training()
    half, first = training()
    batches = images(20)
    for done, batch in enumerate(batches):
        whole(**batch)
        schedule.step()
        if done < 8:
            half(**batch)
            first.step()
    again, second = training()
    again.load_state_dict(half.state_dict())
    second.load_state_dict(first.state_dict())
    for batch in batches[8:]:
        again(**batch)
        second.step()
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert second.gates == schedule.gates


def test_distillation_brings_the_answers_back() -> None:
    original = pre_norm()
    model = deepcopy(original)
    schedule = Schedule(model, images(1)[0], steps=60, start=0.05, end=0.5)
    data = images(10)
    losses = distil(model, original, data, 60, schedule=schedule, learning_rate=3e-3)
    assert len(losses) == 60 and losses[0] < 1e-6
    assert sum(losses[-5:]) < 0.8 * sum(losses[30:35])
    assert not model.training and schedule.finish() == NORMS
    with torch.no_grad():
        (batch,) = images(1, seed=1)
        assert distillation_loss(model(**batch), original(**batch)) < 0.5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": 1}, "two steps or more"),
        ({"start": 0.0}, "0 < start"),
        ({"order": NORMS[1:]}, "order must name each norm"),
        ({"keep": "*"}, "has no LayerNorm to convert"),
    ],
)
def test_refusals(settings: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        training(**settings)
