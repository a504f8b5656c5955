"""Hugging Face folders as model specs, and forwards of transformers through both exporters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")
from torch import Tensor, nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, convert_norms, save_pretrained  # noqa: E402
from un_deploy.pipeline.export.check_export import check_export  # noqa: E402
from un_deploy.pipeline.export.export import export  # noqa: E402
from un_deploy.pipeline.export.model_spec import load_module  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]
BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])

SMALL = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64,
}  # fmt: skip
SEQ2SEQ = {
    "vocab_size": 50, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}  # fmt: skip
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7]])
MASK = torch.ones_like(IDS)
IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TEXT = {"input_ids": IDS, "attention_mask": MASK}
TWO_TEXTS = {**TEXT, "decoder_input_ids": IDS[:, :5].clone()}


def made(model: str, config: str, **settings: Any) -> nn.Module:
    torch.manual_seed(0)
    network = getattr(transformers, model)(getattr(transformers, config)(**settings))
    assert isinstance(network, nn.Module)
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], dict[str, Tensor]]] = {
    "bert": (lambda: made("BertModel", "BertConfig", **SMALL), TEXT),
    "electra": (lambda: made("ElectraModel", "ElectraConfig", **SMALL), TEXT),
    "gpt2": (
        lambda: made("GPT2LMHeadModel", "GPT2Config", vocab_size=50, n_embd=32, n_layer=2,
                     n_head=2, n_positions=32, bos_token_id=0, eos_token_id=0),
        {"input_ids": IDS},
    ),
    "llama": (lambda: made("LlamaForCausalLM", "LlamaConfig", **SMALL), TEXT),
    "gpt-neox": (lambda: made("GPTNeoXForCausalLM", "GPTNeoXConfig", **SMALL), {"input_ids": IDS}),
    "t5": (
        lambda: made("T5ForConditionalGeneration", "T5Config", vocab_size=50, d_model=32, d_kv=16,
                     d_ff=64, num_layers=1, num_heads=2, decoder_start_token_id=0),
        TWO_TEXTS,
    ),
    "bart": (lambda: made("BartModel", "BartConfig", **SEQ2SEQ), TWO_TEXTS),
    "swin": (
        lambda: made("SwinModel", "SwinConfig", image_size=32, patch_size=2, embed_dim=16,
                     depths=[1, 1], num_heads=[2, 2], window_size=4),
        {"pixel_values": IMAGE},
    ),
    "beit": (
        lambda: made("BeitForImageClassification", "BeitConfig", image_size=32, patch_size=8,
                     use_relative_position_bias=True, **SMALL),
        {"pixel_values": IMAGE},
    ),
}  # fmt: skip
"""Those of which a forward or an exporter stopped the export: caches, flags, gradients."""


@BOTH
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_were_refused(name: str, exporter: Exporter) -> None:
    make, inputs = NETWORKS[name]
    module = make()
    axes = {
        key: {0: "batch", 1: "length" if key == "decoder_input_ids" else "sequence"}
        if tensor.ndim == 2
        else {0: "batch"}
        for key, tensor in inputs.items()
    }
    model = to_onnx(module, inputs, dynamic_axes=axes, exporter=exporter)
    assert [value.name for value in model.graph.inputs] == list(inputs)
    assert check_export(module, model, inputs) < 2e-6


def test_a_cache_as_an_input_is_named(tmp_path: Path) -> None:
    make, _ = NETWORKS["llama"]
    inputs = {"input_ids": IDS.numpy(), "past_key_values": transformers.DynamicCache()}
    with pytest.raises(InputError, match=r"^input past_key_values is a DynamicCache: leave it out"):
        export(make(), tmp_path / "llama.onnx", inputs=inputs)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bert as it was made, and un converted."""
    folder = tmp_path_factory.mktemp("folders")
    model = made("BertForSequenceClassification", "BertConfig", **SMALL)
    model.save_pretrained(folder / "bert")
    convert_norms(model)
    model.train()(IDS)
    save_pretrained(model, folder / "un")
    return folder


@pytest.mark.parametrize("folder", ["bert", "un"])
@pytest.mark.parametrize(
    ("norm", "kind"), [("ln", nn.LayerNorm), ("un", UnifiedNorm), ("none", nn.Identity)]
)
def test_the_norms_of_a_folder(folders: Path, folder: str, norm: str, kind: type) -> None:
    module = load_module(str(folders / folder), norm=norm, untrained=True)
    assert isinstance(module, transformers.BertForSequenceClassification)
    found = module.bert.encoder.layer[0].output.LayerNorm
    assert type(found) is kind
    saved = nn.LayerNorm if folder == "bert" else UnifiedNorm
    assert type(load_module(str(folders / folder)).bert.embeddings.LayerNorm) is saved


@BOTH
def test_a_folder_with_an_open_sequence(folders: Path, tmp_path: Path, exporter: Exporter) -> None:
    opened = {name: {1: "sequence"} for name in ("input_ids", "attention_mask")}
    report = export(
        str(folders / "un"), tmp_path / "un.onnx", exporter=exporter, dynamic_axes=opened
    )
    assert report.fold is not None and len(report.fold.folded) == 5
    assert report.verification is not None and report.verification.verdict == "proven"


def test_pictures_get_examples_too(tmp_path: Path) -> None:
    small = {name: value for name, value in SMALL.items() if name != "vocab_size"}
    made("ViTModel", "ViTConfig", image_size=16, patch_size=8, num_channels=1, **small)
    vit = made("ViTModel", "ViTConfig", image_size=16, patch_size=8, num_channels=1, **small)
    vit.save_pretrained(tmp_path)
    inputs = load_module(str(tmp_path)).example_inputs(3)
    assert {name: tuple(one.shape) for name, one in inputs.items()} == {
        "pixel_values": (3, 1, 16, 16)
    }


def test_what_takes_other_inputs_asks_for_them(tmp_path: Path) -> None:
    made("Wav2Vec2Model", "Wav2Vec2Config", conv_dim=[8], conv_stride=[2], conv_kernel=[3],
         num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, **SMALL,
    ).save_pretrained(tmp_path / "audio")  # fmt: skip
    with pytest.raises(InputError, match=r"no method example_inputs\(\); give .* inputs='data"):
        export(str(tmp_path / "audio"), tmp_path / "audio.onnx")
