"""The T2T-ViT recipe against the released code: its names, its logits, and folds of it.

data/t2t has three small networks as that code computes them (their sizes as JSON, state, input and
logits), and the names and shapes of the released T2T-ViT-14 with UN everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models import t2t_vit  # noqa: E402
from tests.models.test_vit import Recorded  # noqa: E402
from tests.support.isomorphism import differences  # noqa: E402
from tests.support.networks.exports import HALVES, in_turn  # noqa: E402
from tests.support.released_norm import ReleasedStyleNorm  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

DATA = Path(__file__).parent / "data" / "t2t"


def official(dim: int) -> UnifiedNorm:
    return UnifiedNorm(dim, mode="official")


NORM_LAYERS: dict[str, Callable[[int], nn.Module]] = {"ln": nn.LayerNorm, "un": official}


@cache
def record(name: str) -> dict[str, np.ndarray]:
    return dict(np.load(DATA / f"{name}.npz"))


def network(name: str, norm_layer: Callable[[int], nn.Module] | None = None) -> nn.Module:
    """A recorded network, with its weights; of another norm those that have its names."""
    config: dict[str, Any] = json.loads(str(record(name)["config"]))
    model = t2t_vit.T2TViT(
        image_size=config["img_size"],
        in_channels=3,
        num_classes=config["num_classes"],
        dim=config["embed_dim"],
        depth=config["depth"],
        num_heads=config["num_heads"],
        mlp_ratio=int(config["mlp_ratio"]),
        token_dim=config["token_dim"],
        tokens=config["tokens_type"],
        norm_layer=norm_layer or NORM_LAYERS[config["norm"]],
    )
    parts = {key.removeprefix("state/"): value for key, value in record(name).items()}
    state = {key: torch.from_numpy(value) for key, value in parts.items() if value.ndim}
    del state["input"], state["logits"]
    left = model.load_state_dict(state, strict=norm_layer is None)
    assert left.missing_keys == []
    return model.eval()


def export(name: str, exporter: Exporter, dynamic: bool, norm_layer: Any = None) -> ir.Model:
    model = network(name, norm_layer)
    return to_onnx(
        model,
        {"pixel_values": torch.from_numpy(record(name)["input"])},
        dynamic_axes=model.dynamic_axes if dynamic else {},
        output_names=model.output_names,
        exporter=exporter,
    )


def assert_recorded(logits: np.ndarray, name: str) -> None:
    assert logits.shape == record(name)["logits"].shape == (2, 10)
    assert np.max(np.abs(logits - record(name)["logits"])) <= 1e-5


@pytest.mark.parametrize("name", ["performer_ln", "performer_un", "transformer_un"])
def test_the_released_code_s_state_gives_its_logits(name: str) -> None:
    with torch.no_grad():
        assert_recorded(network(name)(torch.from_numpy(record(name)["input"])).numpy(), name)


FOLDED = {"performer_ln": (0, 0), "performer_un": (9, 2), "transformer_un": (9, 4)}
"""How many norms fold and how many biases are gained, of projections that had none."""


@pytest.mark.parametrize(("name", "exporter", "dynamic"), in_turn(FOLDED))
def test_folded_exports_give_its_logits(name: str, exporter: Exporter, dynamic: bool) -> None:
    """LN stays, and UN goes."""
    pytest.importorskip("onnxruntime", reason="needs a float32 runtime: un-deploy[cpu]")
    from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

    model = export(name, exporter, dynamic)
    folded = fold_graph(model.clone())
    norms = sum(site.kind == "norm" for site in folded.report.folded)
    assert (norms, len(folded.report.gained_biases)) == FOLDED[name]
    proof = prove(model, folded)
    assert proof.passed, proof.problems
    feeds = {"pixel_values": record(name)["input"]}
    (logits,) = OnnxRuntime(threads=1).load(folded.model).run(feeds).values()
    assert_recorded(logits, name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "exporter", "dynamic"),
    [("performer_un", *HALVES[0][0]), ("transformer_un", *HALVES[0][1])],
)
def test_the_released_norm_folds_as_ours_does(name: str, exporter: Exporter, dynamic: bool) -> None:
    ours, released, bare = (
        export(name, exporter, dynamic, norm_layer)
        for norm_layer in (None, ReleasedStyleNorm, lambda _: nn.Identity())
    )
    first, second = fold_graph(ours), fold_graph(released)
    assert second.report.stayed == () and second.report.near_misses == ()
    assert differences(first.model, second.model) == []
    gained = second.report.gained_biases
    assert differences(second.model, bare, gained_biases=gained) == []


def test_names_and_shapes_are_those_of_the_released_t2t_vit_14() -> None:
    released = json.loads((DATA / "t2t_vit_14_names.json").read_text())
    with torch.device("meta"):
        model = t2t_vit.t2t_vit_14(official)
        state = {name: torch.empty(shape) for name, shape in released.items()}
    assert len(released) == 386
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == released
    model.load_state_dict(state, strict=True)


@pytest.mark.parametrize(
    ("factory", "dim", "depth", "heads", "hidden", "tokens"),
    [
        (t2t_vit.t2t_vit_micro, 64, 2, 4, 192, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_7, 256, 7, 4, 512, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_10, 256, 10, 4, 512, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_12, 256, 12, 4, 512, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_14, 384, 14, 6, 1152, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_19, 448, 19, 7, 1344, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_24, 512, 24, 8, 1536, t2t_vit.TokenPerformer),
        (t2t_vit.t2t_vit_t_14, 384, 14, 6, 1152, t2t_vit.TokenTransformer),
        (t2t_vit.t2t_vit_t_19, 448, 19, 7, 1344, t2t_vit.TokenTransformer),
        (t2t_vit.t2t_vit_t_24, 512, 24, 8, 1536, t2t_vit.TokenTransformer),
    ],
)
def test_sizes(factory, dim: int, depth: int, heads: int, hidden: int, tokens: type) -> None:
    with torch.device("meta"):
        model = factory()
    assert len(model.blocks) == depth
    assert {block.attn.num_heads for block in model.blocks} == {heads}
    assert {block.mlp.fc1.out_features for block in model.blocks} == {hidden}
    assert model.head.in_features == dim
    token_layers = (model.tokens_to_token.attention1, model.tokens_to_token.attention2)
    assert {type(layer) for layer in token_layers} == {tokens}


@pytest.mark.parametrize("tokens", ["performer", "transformer"])
def test_every_norm_is_the_one_given(tokens: t2t_vit.Tokens) -> None:
    model = t2t_vit.t2t_vit_micro(norm_layer=Recorded, tokens=tokens)
    norms = [norm.dim for norm in model.modules() if isinstance(norm, Recorded)]
    assert norms == [49, 32, 288, 32] + [64] * 5
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())


@pytest.mark.parametrize("tokens", ["performer", "transformer"])
def test_factories_take_other_sizes(tokens: t2t_vit.Tokens) -> None:
    model = t2t_vit.t2t_vit_micro(tokens=tokens, depth=1, num_classes=3, image_size=48, dim=32)
    assert len(model.blocks) == 1 and model.pos_embed.shape == (1, 10, 32)
    assert model(**model.example_inputs(4)).shape == (4, 3)


@pytest.mark.parametrize(("tokens", "with_one"), [("performer", 2), ("transformer", 4)])
def test_projections_have_a_bias_if_asked_for(tokens: t2t_vit.Tokens, with_one: int) -> None:
    bare = t2t_vit.t2t_vit_micro(tokens=tokens).state_dict()
    biased = t2t_vit.t2t_vit_micro(tokens=tokens, qkv_bias=True).state_dict()
    assert bare.keys() < biased.keys()
    gained = biased.keys() - bare.keys()
    assert len(gained) == with_one and all(name.endswith(".qkv.bias") for name in gained)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"image_size": 28}, "no multiple of 16"),
        ({"num_heads": 5}, "no multiple of num_heads"),
        ({"tokens": "convolution"}, "is none of"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        t2t_vit.t2t_vit_micro(**sizes)


def test_positions_and_random_features_are_not_trained() -> None:
    model = t2t_vit.t2t_vit_micro()
    fixed = {name for name, one in model.named_parameters() if not one.requires_grad}
    token_layers = {f"tokens_to_token.attention{number}.w" for number in (1, 2)}
    assert fixed == {"pos_embed", *token_layers}
    features = model.tokens_to_token.attention1.w
    torch.testing.assert_close(features @ features.T, 16 * torch.eye(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("exporter", "dynamic"), HALVES[1])
def test_exports_keep_what_a_performer_adds_to_its_divisor(
    exporter: Exporter, dynamic: bool
) -> None:
    """Where the sum of the features is far smaller, the attention is 0 and not the values' mean."""
    pytest.importorskip("onnxruntime", reason="needs a float32 runtime: un-deploy[cpu]")
    from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

    torch.manual_seed(0)
    model = t2t_vit.t2t_vit_micro(depth=1).eval()
    first = model.tokens_to_token.attention1
    inputs = model.example_inputs(2)
    outputs = []
    with torch.no_grad():
        first.kqv.bias.fill_(1)  # half the square of a query is 16
        for first.epsilon in (0, 1.6e-7):
            outputs.append(model(**inputs).numpy())
    without, wanted = outputs
    assert np.max(np.abs(without - wanted)) > 1e-2
    exported = to_onnx(
        model,
        inputs,
        dynamic_axes=model.dynamic_axes if dynamic else {},
        output_names=model.output_names,
        exporter=exporter,
    )
    feeds = {name: value.numpy() for name, value in inputs.items()}
    (logits,) = OnnxRuntime(threads=1).load(exported).run(feeds).values()
    assert np.max(np.abs(logits - wanted)) <= 1e-5
