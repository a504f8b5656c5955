"""Norms by name: the table, what the baselines compute, and what folds of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from math import erf, tanh

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402  (needs torch)

from models.fashion_mnist.norms import NORMS as TRAINED  # noqa: E402
from models.norms import NORMS, Derf, DyT  # noqa: E402
from models.recipes import MICRO, RECIPES, Recipe  # noqa: E402
from tests.support.networks.cases import with_micros  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.pipeline.export.norm_names import NORMS as NAMES  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402
from un_deploy.pipeline.fold_file import proven  # noqa: E402

pytestmark = pytest.mark.torch


def test_the_table_has_every_name_and_the_training_two_more() -> None:
    assert tuple(NORMS) == NAMES
    assert [*TRAINED] == [*NAMES, "un-scaled", "un-official"]


def test_dyt_and_derf_start_where_their_papers_say() -> None:
    dyt, derf = DyT(3), Derf(3)
    assert {name: value.tolist() for name, value in dyt.state_dict().items()} == {
        "alpha": [0.5],
        "weight": [1, 1, 1],
        "bias": [0, 0, 0],
    }
    assert derf.state_dict().keys() == {*dyt.state_dict(), "shift"} and derf.shift.item() == 0
    assert dyt(torch.full((2, 3), 0.8)).tolist() == [[pytest.approx(tanh(0.4))] * 3] * 2
    assert derf(torch.full((1, 3), 0.8)).tolist() == [[pytest.approx(erf(0.4))] * 3]


def test_dyt_and_derf_scale_and_shift_each_channel() -> None:
    for norm, squashed in ((DyT(2), tanh(2.0)), (Derf(2), erf(1.5))):
        with torch.no_grad():
            norm.alpha.fill_(2.0)
            norm.weight.copy_(Tensor([3.0, -1.0]))
            norm.bias.copy_(Tensor([0.25, 4.0]))
            if isinstance(norm, Derf):
                norm.shift.fill_(-0.5)
        wanted = [3 * squashed + 0.25, 4 - squashed]
        assert norm(torch.ones(2)).tolist() == pytest.approx(wanted, rel=1e-6)


def test_batch_norm_is_over_all_tokens() -> None:
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    y = NORMS["bn"](3)(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), rtol=0, atol=1e-6)
    variance = y.var((0, 1), unbiased=False)
    torch.testing.assert_close(variance, torch.ones(3), rtol=1e-4, atol=0)


def trained(recipe: Recipe, norm: str) -> nn.Module:
    """A network whose norms are not at their start, where an operator would be of no effect."""
    network = recipe.factory(norm_layer=NORMS[norm]).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for one in norms(network, norm):
            for name, value in one.state_dict().items():
                if value.is_floating_point():
                    low, high = (-0.5, 0.5) if name in ("bias", "shift") else (0.5, 1.5)
                    value.uniform_(low, high, generator=generator)
    return network


def norms(network: nn.Module, norm: str) -> Iterator[nn.Module]:
    return (one for one in network.modules() if type(one) is NORMS[norm])


STAYS = {
    "bert_micro": {"dyt": 5, "derf": 5, "rms": 5},
    "nmt_micro_encoder": {"dyt": 1, "derf": 1, "rms": 1},
    "swin_micro": {"dyt": 1, "derf": 1, "rms": 1},
}
"""What a norm leaves is also in the stream that the next one bends, or is the output: post-norm,
behind Swin's patches, and at the end of an encoder."""


TORCHSCRIPT = [(norm, "torchscript") for norm in ("rms", "bn", "dyt", "derf")]
#: One for each network, as an export takes seconds. Derf's graph is DyT's and one Add.
DYNAMO = [
    pytest.param(recipe, norm, "dynamo", marks=[pytest.mark.slow] if recipe.slow else [])
    for recipe, norm in zip(MICRO.values(), cycle(("rms", "derf")), strict=False)
]
SWIN = [
    pytest.param(RECIPES["swin_micro"], *one, marks=pytest.mark.slow)
    for one in (*TORCHSCRIPT, ("rms", "dynamo"))
]


@pytest.mark.parametrize(
    ("recipe", "norm", "exporter"), [*with_micros(*TORCHSCRIPT), *DYNAMO, *SWIN], ids=str
)
def test_scale_and_shift_fold_wherever_linear_operators_alone_read_them(
    recipe: Recipe, norm: str, exporter: Exporter
) -> None:
    """Of an RMSNorm with --fold-norm-affine; of the others by default."""
    network = trained(recipe, norm)
    assert len([*norms(network, norm)]) == recipe.norms
    inputs = network.example_inputs(2)
    graph = to_onnx(network, inputs, exporter=exporter, dynamic_axes=network.dynamic_axes)
    folded = fold_graph(graph.clone(), fold_norm_affine=norm == "rms")
    stays = STAYS.get(recipe.name, {}).get(norm, 0)
    assert len(folded.report.stayed) == stays
    assert len(folded.report.folded) == recipe.norms - stays
    proven(graph, folded)
