"""The harm of each norm alone."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.conversion.networks import images, pre_norm  # noqa: E402
from un_deploy.conversion import calibrate, measure  # noqa: E402
from un_deploy.conversion.divergence import Original  # noqa: E402

pytestmark = pytest.mark.torch


def test_each_alone_is_what_calibrate_would_do_with_it_alone() -> None:
    model = pre_norm()
    harm = measure(model, images(2), heldout=images(1, seed=1))
    assert harm.metric == "divergence of the outputs"
    original = Original(model, images(1, seed=1))
    for norm in harm.norms:
        alone = deepcopy(model)
        fits = calibrate(alone, images(2), only=norm.name).converted
        (found,) = original.divergence(alone).values()
        assert norm.loss.value == pytest.approx(found[0], rel=1e-3, abs=1e-9)
        assert norm.unexplained == pytest.approx(fits[norm.name], rel=1e-4)
    assert sum(isinstance(module, nn.LayerNorm) for module in model.modules()) == 5


def test_how_much_the_tokens_lengths_vary() -> None:
    model = nn.Sequential(nn.Identity(), nn.LayerNorm(4)).eval()
    x = torch.tensor([1.0, 3.0])[:, None] * torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    (norm,) = measure(model, [x]).norms
    assert norm.varies == pytest.approx(0.5)  # lengths 1 and 3: mean 2, deviation 1


def test_as_text_and_as_json() -> None:
    harm = measure(pre_norm(), images(1), keep="norm")
    lines = str(harm).splitlines()
    said = "Each norm alone, as the nearest scale and shift (divergence of the outputs):"
    assert lines[0] == said
    assert lines[1].split() == ["norm", "input", "varies", "unexplained", "loss"]
    assert len(lines) == 8 and lines[-1] == "norm stays: named by keep."
    read = json.loads(harm.to_json())
    assert [norm["name"] for norm in read["norms"]] == [norm.name for norm in harm.norms]
    assert set(harm.ordered) == {norm.name for norm in harm.norms}
