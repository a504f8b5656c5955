"""Networks whose norms PyTorch computes in ways of its own: converted, exported, folded, proven."""

from __future__ import annotations

from collections import Counter
from typing import Literal, get_args

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from models import bert  # noqa: E402
from tests.support.graphs import operators  # noqa: E402
from tests.support.isomorphism import differences  # noqa: E402
from tests.support.networks.trained_like import draw_norms, norms  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.nn import convert_norms  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:enable_nested_tensor")]

To = Literal["un", "none"]


class Encoder(nn.Module):
    """PyTorch's own encoder layers, and a head."""

    def __init__(self, norm_first: bool, activation: str) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            16, 4, 32, activation=activation, norm_first=norm_first, batch_first=True
        )
        last = nn.LayerNorm(16) if norm_first else None
        self.encoder, self.head = nn.TransformerEncoder(layer, 1, last), nn.Linear(16, 4)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding))


class OfTransformer(nn.Module):
    """The encoder of nn.Transformer, which ends in a norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Transformer(16, 4, 1, 0, 32, batch_first=True).encoder
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding))


class LayerNorm2d(nn.LayerNorm):
    """As in torchvision and timm."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        )
        return x.permute(0, 3, 1, 2)


class MeanLayerNorm2d(nn.Module):
    """As in ConvNeXt's own code."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class Downsampling(nn.Module):
    """ConvNeXt's stem and its step to the next stage."""

    def __init__(self, norm: type[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 2, 2), norm(8), nn.Conv2d(8, 8, 1), nn.GELU(), norm(8),
            nn.Conv2d(8, 16, 2, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Diffusion(nn.Module):
    """Blocks of a diffusion transformer: norms without weight and bias, modulated by a condition;
    the last norm has a weight and no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(16, elementwise_affine=False) for _ in range(2))
        self.plain, self.last = (
            nn.LayerNorm(16, elementwise_affine=False),
            nn.LayerNorm(16, bias=False),
        )
        self.modulate, self.head = nn.Linear(16, 4 * 16), nn.Linear(16, 4)
        self.mix, self.feed, self.more = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        t, s, t2, s2 = self.modulate(F.silu(condition)).unsqueeze(1).chunk(4, dim=-1)
        x = x + self.mix(self.norms[0](x) * (1 + s) + t)
        x = x + F.gelu(self.feed(self.norms[1](x) * (1 + s2) + t2))
        x = x + F.gelu(self.more(self.plain(x)))
        return self.head(self.last(x))


def converted(network: nn.Module, to: To) -> nn.Module:
    """The network, its norms as if trained."""
    assert convert_norms(network, to).left == {}
    return draw_norms(network)


def assert_all_fold(
    networks: dict[To, nn.Module], inputs: dict[str, Tensor], exporter: Exporter, norms: int
) -> None:
    """`norms`: how many affines there are; norms in a row are one."""
    bare, network = (converted(networks[to], to) for to in ("none", "un"))
    graph = to_onnx(network, inputs, exporter=exporter)
    folded = fold_graph(graph.clone())
    proof = prove(graph, folded)
    assert proof.passed, proof.problems
    assert len(folded.report.folded) == norms
    assert not folded.report.stayed
    no_norm = operators(to_onnx(bare, inputs, exporter=exporter))
    assert not Counter(operators(folded.model)) - Counter(no_norm), "more than without norms"


def both(make: type[nn.Module], *args: object) -> dict[To, nn.Module]:
    torch.manual_seed(0)
    return {"un": make(*args), "none": make(*args)}


TOKENS = {
    "x": torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(0)),
    "padding": torch.arange(6) >= torch.tensor([[6], [4], [2]]),
}


@pytest.mark.parametrize("exporter", get_args(Exporter))
@pytest.mark.parametrize(
    ("norm_first", "activation"),
    [
        (False, "relu"),
        (True, "gelu"),
        pytest.param(False, "gelu", marks=pytest.mark.slow),
        pytest.param(True, "relu", marks=pytest.mark.slow),
    ],
)
def test_encoder_layers_lose_all_norms(
    norm_first: bool, activation: str, exporter: Exporter
) -> None:
    networks = both(Encoder, norm_first, activation)
    assert_all_fold(networks, TOKENS, exporter, norms=3 if norm_first else 2)


@pytest.mark.parametrize("exporter", get_args(Exporter))
def test_norms_without_weight_and_bias_fold(exporter: Exporter) -> None:
    network = both(Diffusion)
    inputs = {"x": torch.randn(2, 5, 16), "condition": torch.randn(2, 16)}
    assert_all_fold(network, inputs, exporter, norms=4)
    parameters = [sum(1 for _ in norm.parameters()) for norm in network["un"].norms]
    assert parameters == [0, 0] and network["un"].last.bias is None


@pytest.mark.parametrize("exporter", get_args(Exporter))
def test_the_encoder_of_a_transformer_loses_all_norms(exporter: Exporter) -> None:
    """Its last two norms stand in a row."""
    assert_all_fold(both(OfTransformer), TOKENS, exporter, norms=2)


@pytest.mark.parametrize("exporter", get_args(Exporter))
@pytest.mark.parametrize("norm", [LayerNorm2d, MeanLayerNorm2d])
def test_channel_first_norms_leave_no_transpose(norm: type[nn.Module], exporter: Exporter) -> None:
    """Nor does the network without norms have one."""
    images = {"x": torch.randn(2, 3, 8, 8)}
    assert_all_fold(both(Downsampling, norm), images, exporter, norms=2)
    bare = to_onnx(converted(Downsampling(norm), "none"), images, exporter=exporter)
    assert "Transpose" not in operators(bare)


@pytest.mark.parametrize(
    ("exporter", "opset", "behind", "dynamic"),
    [
        ("dynamo", 20, "LayerNormalization", True),
        ("torchscript", 17, "LayerNormalization", False),
        ("torchscript", 16, "Add", True),
        pytest.param("dynamo", 20, "LayerNormalization", False, marks=pytest.mark.slow),
        pytest.param("torchscript", 17, "LayerNormalization", True, marks=pytest.mark.slow),
        pytest.param("torchscript", 16, "Add", False, marks=pytest.mark.slow),
    ],
)
def test_between_layer_norms_that_stay_the_converted_ones_fold(
    exporter: Exporter, opset: int, behind: str, dynamic: bool
) -> None:
    """Of a post-norm network where the norms behind attention went: the LayerNorm in front of each
    takes its scale in, as one operator and, before opset 17, written out."""
    networks = {}
    for to in get_args(To):
        torch.manual_seed(0)
        network = bert.bert_micro()
        convert_norms(network, to, only="*attention_norm")
        networks[to] = draw_norms(network)
        for norm in norms(network):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.2)
    inputs = networks["un"].example_inputs(2)
    axes = None if dynamic else {}
    given = {"exporter": exporter, "opset": opset, "dynamic_axes": axes}
    graph, bare = (to_onnx(networks[to], inputs, **given) for to in ("un", "none"))
    folded = fold_graph(graph.clone())
    assert [site.status for site in folded.report.sites].count("folded") == 2
    proof = prove(graph, folded)
    assert proof.passed, proof.problems
    gained = folded.report.gained_biases
    assert differences(folded.model, bare, gained_biases=gained) == []
    taken = {change.node for change in folded.report.changes}
    stay = [norm.operators for norm in folded.report.measuring]
    assert len(stay) == 3 and all(names[-1] == behind for names in stay)
    assert len([node for node in graph.graph if node.name in taken and node.op_type == behind]) >= 2
