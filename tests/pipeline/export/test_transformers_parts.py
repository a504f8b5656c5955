"""Parts of transformers models: each step is PyTorch's own, and they write its sentences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")
from torch import Tensor, nn  # noqa: E402

from models.search import beam_search  # noqa: E402
from tests.support.networks.trained_like import draw_norms  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import convert_norms, save_pretrained  # noqa: E402
from un_deploy.pipeline.export.check_export import tolerance  # noqa: E402
from un_deploy.pipeline.export.export import export  # noqa: E402
from un_deploy.pipeline.export.parts import part_of  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter  # noqa: E402
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]

Run = dict[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]]

END = 49
SMALL = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64,
}  # fmt: skip
SEQ2SEQ = {
    "vocab_size": 50, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "forced_eos_token_id": None,
}  # fmt: skip
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": END, "tie_word_embeddings": False}

DECODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config",
             {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 32}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", SMALL),
    "opt": ("OPTForCausalLM", "OPTConfig",
            {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
             "ffn_dim": 64, "max_position_embeddings": 64, "word_embed_proj_dim": 32}),
}  # fmt: skip
ENCODER_DECODERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bart": ("BartForConditionalGeneration", "BartConfig", SEQ2SEQ),
    "marian": ("MarianMTModel", "MarianConfig", SEQ2SEQ),
    "t5": ("T5ForConditionalGeneration", "T5Config",
           {"vocab_size": 50, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2,
            "num_heads": 2}),
}  # fmt: skip
FOLDED: dict[tuple[str, Exporter], tuple[int, ...]] = {
    ("gpt2", "dynamo"): (5, 5),
    ("gpt2", "torchscript"): (5, 5),
    ("llama", "dynamo"): (5, 5),
    ("opt", "dynamo"): (7, 7),
    ("bart", "dynamo"): (5, 7, 7),
    ("bart", "torchscript"): (6, 8, 8),
    ("marian", "dynamo"): (4, 6, 6),
    ("t5", "dynamo"): (4, 7, 7),
}
"""What folds in each part: norms, weights of RMSNorms, and scales of queries and embeddings. One of
T5 stays, the last of its encoder, which is the output."""

TEXT = torch.tensor([[3, 1, 4, 1, 5, 9], [0, 0, 6, 5, 3, 5]])
LEFT = (TEXT != 0).long()


def made(name: str) -> nn.Module:
    """In eval mode, with UN in place of its LayerNorms, trained-like."""
    model, config, settings = (DECODERS | ENCODER_DECODERS)[name]
    torch.manual_seed(0)
    start = {"decoder_start_token_id": 0} if name in ENCODER_DECODERS else {}
    network = getattr(transformers, model)(
        getattr(transformers, config)(**settings, **IDS, **start)
    )
    convert_norms(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)  # else, and with tied embeddings, it writes one word again and again
    return draw_norms(network)


@pytest.fixture(scope="module", params=FOLDED, ids="-".join)
def parts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, nn.Module, Run]:
    """The name, the model, and its folded parts in ONNX Runtime."""
    (name, exporter), folder = request.param, tmp_path_factory.mktemp("parts")
    model, run = made(name), {}
    names = ("first", "step") if name in DECODERS else ("encoder", "first", "step")
    for part, folds in zip(names, FOLDED[name, exporter], strict=True):
        report = export(
            model,
            folder / f"{part}.onnx",
            part=part,
            exporter=exporter,
            untrained=True,
            fold_norm_affine=True,
        )
        assert report.verification is not None and report.verification.verdict == "proven"
        assert report.fold is not None and len(report.fold.folded) == folds
        run[part] = OnnxRuntime(threads=1).load(folder / f"{part}.onnx").run
    return name, model, run


def keys_values(cache: Any) -> list[Tensor]:
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def own_steps(model: Any, **inputs: Tensor) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """Logits and caches of PyTorch: of the first three tokens, then of one more at a time."""
    takes = inspect.signature(model.forward).parameters
    given, cache = ("cache" if "cache" in takes else "past_key_values"), None
    two = model.config.is_encoder_decoder
    ids = inputs.pop("decoder_input_ids" if two else "input_ids")
    for begin, end in [(0, 3), *((place, place + 1) for place in range(3, ids.shape[1]))]:
        now = {f"{'decoder_' * two}input_ids": ids[:, begin:end]} | inputs
        if not two:
            now["attention_mask"] = inputs["attention_mask"][:, :end]
            now["position_ids"] = (now["attention_mask"].cumsum(1) - 1).clamp(min=0)[:, begin:end]
        with torch.no_grad():
            found = model(**now, **{given: cache}, use_cache=True)
        cache = found[given]
        kept = keys_values(cache.self_attention_cache if two else cache)
        if two and begin == 0:
            kept += keys_values(cache.cross_attention_cache)
        yield found.logits, kept


def as_past(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {name.replace("present_", "past_"): array for name, array in outputs.items()}
    return {name: array for name, array in found.items() if name.startswith("past_")}


def test_every_step_is_pytorch_s_own(parts: tuple[str, nn.Module, Run]) -> None:
    """With padding in front of a text, or behind a source."""
    name, model, run = parts
    if name in DECODERS:
        feeds = {"input_ids": TEXT[:, :3].numpy(), "attention_mask": LEFT[:, :3].numpy()}
        own, ids = own_steps(model, input_ids=TEXT, attention_mask=LEFT), "input_ids"
        keep: dict[str, np.ndarray] = {}
    else:
        source = {"input_ids": TEXT.flip(1), "attention_mask": LEFT.flip(1)}
        own, ids = own_steps(model, decoder_input_ids=TEXT, **source), "decoder_input_ids"
        keep = {"attention_mask": source["attention_mask"].numpy()}
        states = run["encoder"]({key: one.numpy() for key, one in source.items()})
        feeds = {ids: TEXT[:, :3].numpy(), **keep, **states}
    past: dict[str, np.ndarray] = {}
    for place, (logits, caches) in enumerate(own, start=2):
        if place > 2:
            feeds = {ids: TEXT[:, place : place + 1].numpy(), **keep, **past}
        outputs = run["step" if past else "first"](feeds)
        past |= as_past(outputs)
        got = outputs.pop("logits")
        mask = outputs.pop("present_attention_mask", None)
        assert mask is None or mask.tolist() == LEFT[:, : place + 1].tolist()
        assert len(outputs) == len(caches) > 0
        # Padding sees nothing, and what comes of that is nowhere seen.
        seen = LEFT[:, : place + 1].bool() if name in DECODERS else torch.ones(2, place + 1) > 0
        assert_close(got[seen[:, -got.shape[1] :]], logits[seen[:, -got.shape[1] :]])
        for (key, array), tensor in zip(outputs.items(), caches, strict=True):
            where = LEFT.flip(1).bool() if "cross" in key else seen
            assert_close(array.swapaxes(1, 2)[where], tensor.transpose(1, 2)[where])
    assert place == TEXT.shape[1] - 1


def assert_close(got: np.ndarray, wanted: Tensor) -> None:
    assert got.shape == tuple(wanted.shape)
    error = np.max(np.abs(got - wanted.numpy()))
    assert error <= tolerance(torch.finfo(wanted.dtype).eps) * wanted.abs().max().item()


def test_a_greedy_search_writes_what_generate_does(parts: tuple[str, nn.Module, Run]) -> None:
    name, model, run = parts
    source = {"input_ids": TEXT, "attention_mask": LEFT}
    wanted = model.generate(**source, max_new_tokens=6, num_beams=1, do_sample=False).numpy()
    arrays = {key: one.numpy() for key, one in source.items()}
    if name in DECODERS:
        start, ids, keep = arrays.pop("input_ids"), "input_ids", ()
    else:
        arrays |= run["encoder"](arrays)
        del arrays["input_ids"]
        start, ids, keep = np.zeros((2, 1), np.int64), "decoder_input_ids", ("attention_mask",)
    found = beam_search(
        run["first"], run["step"], start, arrays, end=END, beams=1, length=6, keep=keep, ids=ids
    )
    for row, tokens in enumerate(wanted[:, start.shape[1] :].tolist()):
        length = tokens.index(END) + 1 if END in tokens else len(tokens)
        assert found.tokens[row, 0, :length].tolist() == tokens[:length]


def test_a_folder_is_exported_in_parts(tmp_path: Path) -> None:
    """As it is used: a converted model that was saved."""
    save_pretrained(made("gpt2"), tmp_path / "gpt2")
    report = export(str(tmp_path / "gpt2"), tmp_path / "step.onnx", part="step", untrained=True)
    assert report.fold is not None and report.fold.stayed == ()
    inputs = [one.name for one in onnx.load(tmp_path / "step.onnx").graph.input]
    assert inputs[:4] == ["input_ids", "past_attention_mask", "past_key_0", "past_value_0"]


@pytest.mark.parametrize(
    ("model", "config", "said"),
    [
        (
            "MambaForCausalLM",
            "MambaConfig",
            "MambaForCausalLM has no parts with keys and values",
        ),
        ("BertModel", "BertConfig", "BertModel has no parts: "),
        ("WhisperForConditionalGeneration", "WhisperConfig", "reads input_features; parts read"),
    ],
)
def test_what_has_no_parts(model: str, config: str, said: str) -> None:
    settings = (SEQ2SEQ if "Whisper" in model else SMALL) | IDS
    network = getattr(transformers, model)(getattr(transformers, config)(**settings))
    with pytest.raises(InputError, match=said):
        part_of(network, "step")
