"""A norm written exactly as the released module computes leaves nothing behind, in any export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402  (needs torch)

from tests.support.networks.exports import in_turn  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

WIDTH, HEADS = 16, 2


class Released(nn.Module):
    """permute, contiguous, reshape to (B, C, -1, 1), divide, scale, shift, and back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.rand(channels) + 0.5)
        self.bias = nn.Parameter(torch.randn(channels))
        self.register_buffer("running_phi", torch.rand(1, channels, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        x = x.permute(0, 2, 1).contiguous().reshape(batch, channels, -1, 1)
        x = x / (self.running_phi + 1e-5).sqrt()
        x = self.weight.reshape(1, channels, 1, 1) * x + self.bias.reshape(1, channels, 1, 1)
        return x.reshape(batch, channels, tokens).permute(0, 2, 1).contiguous()


NormLayer = Callable[[int], nn.Module]


class Block(nn.Module):
    """A pre-norm block; Q, K and V in one projection or three, which have no bias."""

    def __init__(self, norm_layer: NormLayer, fused: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm_layer(WIDTH), norm_layer(WIDTH)
        widths = (3 * WIDTH,) if fused else (WIDTH,) * 3
        self.qkv = nn.ModuleList(nn.Linear(WIDTH, width, bias=not fused) for width in widths)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        n = self.norm1(x)
        if len(self.qkv) == 1:
            parts = self.qkv[0](n).reshape(batch, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            q, k, v = parts.unbind(0)
        else:
            q, k, v = (
                linear(n).reshape(batch, tokens, HEADS, -1).transpose(1, 2) for linear in self.qkv
            )
        scores = (q @ k.transpose(-2, -1)) * (WIDTH // HEADS) ** -0.5
        mixed = (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, tokens, WIDTH)
        x = x + self.proj(mixed)
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    """Patches, a norm behind their embedding if asked for, two blocks, a last norm, a head.

    Without a position table the stream begins where that norm ends.
    """

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {"pixels": {0: "batch"}}

    def __init__(self, norm_layer: NormLayer, fused: bool, embedded: bool, table: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.norm = norm_layer(WIDTH) if embedded else nn.Identity()
        self.position = nn.Parameter(torch.randn(1, 9, WIDTH)) if table else None
        self.blocks = nn.Sequential(Block(norm_layer, fused), Block(norm_layer, fused))
        self.last = norm_layer(WIDTH)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        x = self.norm(x) if self.position is None else self.norm(x) + self.position
        return self.head(self.last(self.blocks(x)).mean(dim=1))


def exports(exporter: Exporter, dynamic: bool, **given: Any) -> tuple[ir.Model, ir.Model]:
    """The network with the norm and without."""
    models = []
    for norm_layer in (Released, lambda _: nn.Identity()):
        torch.manual_seed(0)
        network = Encoder(norm_layer, **given).eval()
        models.append(
            to_onnx(
                network,
                {"pixels": torch.randn(2, 3, 12, 12)},
                dynamic_axes=network.dynamic_axes if dynamic else {},
                output_names=("y",),
                exporter=exporter,
                opset=18,
            )
        )
    return models[0], models[1]


NETWORKS = {
    "Q, K and V apart": {"fused": False, "embedded": False, "table": True},
    "Q, K and V fused, a norm behind the patches": {"fused": True, "embedded": True, "table": True},
    "a norm between the patches and the stream": {"fused": True, "embedded": True, "table": False},
}


@pytest.mark.parametrize(("network", "exporter", "dynamic"), in_turn(NETWORKS))
def test_no_norm_and_no_operator_is_left(network: str, exporter: Exporter, dynamic: bool) -> None:
    normed, bare = exports(exporter, dynamic, **NETWORKS[network])
    folded = fold_graph(normed.clone())
    assert folded.report.stayed == () and folded.report.near_misses == ()
    norms = [site for site in folded.report.folded if site.kind == "norm"]
    assert len(norms) == 5 + NETWORKS[network]["embedded"]
    proof = prove(normed, folded)
    assert proof.passed, proof.problems

    left = Counter(node.op_type for node in folded.model.graph)
    wanted = Counter(node.op_type for node in bare.graph)
    # A projection that had no bias has one.
    gained = Counter({"Add": len(folded.report.gained_biases)})
    assert left - wanted <= gained and not wanted - left, (left - wanted, wanted - left)
