"""The scale and shift of a Llama's and a BERT's norms fold as the same algebra in PyTorch does it.

W x becomes (W diag(w)) x, and W (x + b) + c becomes W x + (c + W b): FlashNorm, arXiv 2407.09577.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from tests.support.graphs import stored  # noqa: E402
from tests.support.networks.language import Bert, Config, Llama  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

FORMS: tuple[tuple[Exporter, int], ...] = (("dynamo", 20), ("dynamo", 23), ("torchscript", 13))
SETTINGS: tuple[dict[str, bool] | None, ...] = (None, {"pre_norm": True}, {"pre_norm": False})
"""Of a BERT; None: a Llama."""
TOKENS = {"input_ids": torch.arange(10).reshape(2, 5)}


def made(factory, **settings) -> nn.Module:
    torch.manual_seed(0)
    return factory(Config(), **settings).eval()


def exported(network: nn.Module, exporter: Exporter, opset: int) -> ir.Model:
    return to_onnx(network, TOKENS, dynamic_axes={}, opset=opset, exporter=exporter)


def pairs(network: nn.Module) -> Iterator[tuple[nn.Module, list[nn.Linear]]]:
    """Each norm whose affine can go, with the linear layers that read it."""
    if isinstance(network, Llama):
        for layer in network.layers:
            yield layer.input_layernorm, [layer.q_proj, layer.k_proj, layer.v_proj]
            yield layer.post_attention_layernorm, [layer.gate_proj, layer.up_proj]
        yield network.norm, [network.lm_head]
        return
    for layer in network.layers if network.pre_norm else ():
        yield layer.attention_norm, [layer.query, layer.key, layer.value]
        yield layer.output_norm, [layer.intermediate]
    last = network.norm if network.pre_norm else network.layers[-1].output_norm
    yield last, [network.classifier]


def by_hand(network: nn.Module) -> nn.Module:
    """The same algebra, on the weights of the network."""
    network = deepcopy(network).double()
    with torch.no_grad():
        for norm, readers in pairs(network):
            bias = getattr(norm, "bias", None)
            for linear in readers:
                if bias is not None:
                    linear.bias += linear.weight @ bias
                linear.weight *= norm.weight
            norm.weight.fill_(1)
            if bias is not None:
                bias.zero_()
    return network


@pytest.mark.parametrize(
    ("settings", "exporter", "opset"),
    [
        (settings, *form)
        for turn, settings in enumerate(SETTINGS)
        for form in (FORMS[turn % 2], FORMS[2])  # either opset of the newer exporter, in turn
    ],
)
def test_the_weights_are_those_of_the_algebra(settings, exporter: Exporter, opset: int) -> None:
    network = made(Llama) if settings is None else made(Bert, **settings)
    graph = exported(network, exporter, opset)
    folded = fold_graph(graph.clone(), fold_norm_affine=True)
    assert prove(graph, folded).passed
    assert len(folded.report.folded) == len(list(pairs(network)))
    held = [stored(value) for value in folded.model.graph.initializers.values()]
    for _, readers in pairs(by_hand(network)):
        for linear in readers:
            assert any(_same(array, linear.weight) for array in held)
            assert linear.bias is None or any(_same(array, linear.bias) for array in held)


def _same(array: np.ndarray, wanted: torch.Tensor) -> bool:
    right = wanted.detach().numpy()
    return any(
        form.shape == right.shape and np.allclose(form, right, rtol=1e-6, atol=1e-6)
        for form in (array, array.T)
    )


def test_the_algebra_is_right() -> None:
    for network in (made(Llama), made(Bert), made(Bert, pre_norm=True)):
        right = network.double()(**TOKENS)
        assert torch.allclose(by_hand(network)(**TOKENS), right, atol=1e-5)


@pytest.mark.parametrize("pre_norm", [None, True])
def test_no_norm_has_a_scale_or_shift_left(pre_norm: bool | None) -> None:
    network = made(Llama) if pre_norm is None else made(Bert, pre_norm=True)
    folded = fold_graph(exported(network, "dynamo", 20), fold_norm_affine=True)
    assert len(folded.report.measuring) == 5 and not folded.report.stayed
    for node in folded.model.graph:
        if node.op_type == "LayerNormalization":
            ones, zeros = (stored(value) for value in node.inputs[1:] if value is not None)
            assert np.all(ones == 1) and not np.any(zeros)


def test_behind_a_norm_whose_shortcut_reads_it_too_the_norm_keeps_them() -> None:
    """BERT's own order: the sum takes scale and shift, and another norm reads the sum."""
    folded = fold_graph(exported(made(Bert), "dynamo", 20), fold_norm_affine=True)
    assert [site.status for site in folded.report.sites] == ["stayed"] * 4 + ["folded"]
    assert all("it measures what it reads" in site.reason for site in folded.report.stayed)
