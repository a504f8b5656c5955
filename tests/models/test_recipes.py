"""What every recipe promises: its sizes, its inputs, and graphs that agree with PyTorch."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

import models  # noqa: E402
from models.recipes import RECIPES, Recipe  # noqa: E402
from tests.support.networks.cases import with_micros  # noqa: E402
from tests.support.networks.exports import EXPORTS_OF, SEED, exported  # noqa: E402
from tests.support.networks.trained_like import variant  # noqa: E402
from un_deploy.pipeline.export.calling import call, in_order  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(params=RECIPES.values(), ids=str)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return request.param


@pytest.fixture
def network(recipe: Recipe) -> nn.Module:
    """Without memory for its weights."""
    with torch.device("meta"):
        return recipe.factory()


def test_every_factory_of_a_network_file_has_an_entry() -> None:
    """A factory is a public function of the file that takes ``norm_layer``."""
    files = {inspect.getmodule(recipe.factory) for recipe in RECIPES.values()}
    found = {
        name
        for file in files
        for name, one in inspect.getmembers(file, inspect.isfunction)
        if not name.startswith("_") and "norm_layer" in inspect.signature(one).parameters
    }
    assert found == set(RECIPES)
    assert all(file.__package__ == models.__name__ for file in files)


def test_sizes(recipe: Recipe, network: nn.Module) -> None:
    """Those of the large ones as published for ViT-Ti/16, ViT-S/16, ViT-B/16, Swin-T, Swin-S and,
    without its pooler of 768 * 769 weights, BERT-base-uncased."""
    assert sum(parameter.numel() for parameter in network.parameters()) == recipe.weights
    assert sum(isinstance(module, nn.LayerNorm) for module in network.modules()) == recipe.norms


def test_it_says_how_it_is_exported(recipe: Recipe, network: nn.Module) -> None:
    before = torch.random.get_rng_state()
    first, second = network.example_inputs(3), network.example_inputs(3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert list(in_order(network, first)) == list(first)
    for name, value in first.items():
        assert torch.equal(value, second[name])
        assert value.shape[0] == 3 and network.dynamic_axes[name][0] == "batch"
    dims = {dim for axes in network.dynamic_axes.values() for dim in axes.values()}
    assert dims == set(recipe.sizes)
    assert len(set(network.output_names)) == len(network.output_names) >= 1


@pytest.mark.parametrize(
    ("micro", "form", "exporter", "dynamic"),
    with_micros(*((form, *export) for form in ("ln", "none") for export in EXPORTS_OF[form])),
    ids=str,
)
def test_onnx_agrees_with_pytorch(
    micro: Recipe, form: str, exporter: Exporter, dynamic: bool
) -> None:
    """A dynamic graph on other sizes; within 64 roundings of the largest output."""
    from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

    pytest.importorskip("onnxruntime")
    network = variant(micro.factory, form, SEED)
    inputs = network.example_inputs(5 if dynamic else 2)
    if dynamic and "sequence" in micro.sizes:
        inputs = {name: value[:, :11].clone() for name, value in inputs.items()}
    for name in inputs:
        if dynamic and name.endswith("_mask"):
            inputs[name][3] = 0  # a row without any token
    with torch.no_grad():
        wanted = [tensor.numpy() for _, tensor in call(network, inputs)]
    model = exported(micro.factory, form, dynamic, exporter)
    feeds = {name: value.numpy() for name, value in inputs.items()}
    got = OnnxRuntime(threads=1).load(model).run(feeds)
    assert tuple(got) == network.output_names
    for output, expected in zip(got.values(), wanted, strict=True):
        assert output.shape == expected.shape
        error = np.max(np.abs(output - expected))
        assert error <= 64 * np.finfo(np.float32).eps * np.max(np.abs(expected))
