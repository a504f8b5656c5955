"""Models of transformers whose norms were converted: saved, and loaded as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from torch import nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, convert_norms, load_pretrained, save_pretrained  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]

IDS = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
RECORD = "un_deploy.json"


def bert(kind: str = "BertForSequenceClassification") -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


def unified(model: nn.Module) -> list[str]:
    return [name for name, one in model.named_modules() if isinstance(one, UnifiedNorm)]


@pytest.mark.parametrize("mode", ["robust", "paper", "official"])
def test_a_converted_model_comes_back(tmp_path: Path, mode: str) -> None:
    model = bert()
    names = convert_norms(
        model, lambda channels: UnifiedNorm(channels, mode=mode, eps=0.25, window_size=3)
    ).converted
    model.train()(IDS)
    save_pretrained(model, tmp_path)
    found = load_pretrained(tmp_path)
    assert type(found) is transformers.BertForSequenceClassification
    assert unified(found) == names and len(names) == 3
    assert torch.equal(found(IDS).logits, model.eval()(IDS).logits)
    for name in names:
        old, new = model.get_submodule(name), found.get_submodule(name)
        assert (new.mode, new.rule) == (old.mode, old.rule)
        assert all(torch.equal(a, b) for a, b in zip(old.buffers(), new.buffers(), strict=True))


def test_no_norm_and_some_norms(tmp_path: Path) -> None:
    model = bert()
    convert_norms(model.bert.encoder, "none")
    save_pretrained(model, tmp_path)
    found = load_pretrained(tmp_path)
    kinds = {type(one).__name__ for one in found.bert.encoder.modules()}
    assert "LayerNorm" not in kinds
    assert isinstance(found.bert.embeddings.LayerNorm, nn.LayerNorm)
    assert torch.equal(found(IDS).logits, model.eval()(IDS).logits)


def test_a_folder_that_knows_of_no_conversion(tmp_path: Path) -> None:
    model = bert().eval()
    model.save_pretrained(tmp_path)
    found = load_pretrained(tmp_path)
    assert torch.equal(found(IDS).logits, model(IDS).logits)
    assert not found.training and unified(found) == []


def test_a_converted_folder_with_its_layer_norms(tmp_path: Path) -> None:
    model = bert()
    convert_norms(model)
    with torch.no_grad():
        model.bert.embeddings.LayerNorm.weight.fill_(0.5)
    save_pretrained(model, tmp_path)
    norm = load_pretrained(tmp_path, converted=False).bert.embeddings.LayerNorm
    assert type(norm) is nn.LayerNorm
    assert set(norm.weight.tolist()) == {0.5}


def test_tied_weights_are_saved_once_and_load(tmp_path: Path) -> None:
    model = bert("BertForMaskedLM").eval()
    convert_norms(model)
    save_pretrained(model, tmp_path)
    safetensors = pytest.importorskip("safetensors.torch")
    assert "cls.predictions.decoder.weight" not in safetensors.load_file(
        tmp_path / "model.safetensors"
    )
    found = load_pretrained(tmp_path)
    assert found.cls.predictions.decoder.weight is found.bert.embeddings.word_embeddings.weight
    assert torch.equal(found(IDS).logits, model(IDS).logits)


def test_half_precision_and_shards(tmp_path: Path) -> None:
    model = bert().eval()
    expected = model.to(torch.bfloat16).float()(IDS).logits
    model.to(torch.bfloat16).save_pretrained(tmp_path, max_shard_size="4KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    found = load_pretrained(tmp_path)
    assert {one.dtype for one in found.parameters()} == {torch.float32}
    assert torch.equal(found(IDS).logits, expected)


def test_weights_that_the_class_lacks_are_warned_of(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    change(tmp_path / "config.json", architectures=["BertModel"])
    with pytest.warns(UserWarning, match=r"BertModel has no classifier\.bias, classifier\.weight"):
        assert isinstance(load_pretrained(tmp_path), transformers.BertModel)


def statistics_without_a_record(folder: Path) -> None:
    model = bert()
    convert_norms(model)
    model.save_pretrained(folder)


def a_record_without_statistics(folder: Path) -> None:
    statistics_without_a_record(folder)
    model = bert()
    convert_norms(model)
    save_pretrained(model, folder)
    bert().save_pretrained(folder)


def only_the_encoder(folder: Path) -> None:
    model = bert("BertModel")
    model.save_pretrained(folder)
    change(folder / "config.json", architectures=["BertForSequenceClassification"])


def an_unknown_class(folder: Path) -> None:
    bert().save_pretrained(folder)
    change(folder / "config.json", architectures=["MyBert"])


def a_record_of_another_network(folder: Path) -> None:
    bert().save_pretrained(folder)
    (folder / RECORD).write_text('{"version": 1, "norms": {"encoder.norm": null}}')


def a_damaged_record(folder: Path) -> None:
    bert().save_pretrained(folder)
    (folder / RECORD).write_text('{"version": 1, "norms": [')


def weights_that_are_cut(folder: Path) -> None:
    bert().save_pretrained(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def a_pickle(folder: Path) -> None:
    bert().save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(bert().state_dict(), folder / "pytorch_model.bin")


def nothing(folder: Path) -> None:
    pass


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (statistics_without_a_record, "holds bert.*save the model with un_deploy.nn.save_pretrain"),
        (a_record_without_statistics, "its weights lack bert.embeddings.LayerNorm.history, .*more"),
        (only_the_encoder, "its weights lack classifier.bias, classifier.weight of BertForSequ"),
        (an_unknown_class, "names MyBert, which transformers .* FILE.py:factory"),
        (a_record_of_another_network, "un_deploy.json: encoder.norm: AttributeError"),
        (a_damaged_record, "is no record of norms: JSONDecodeError"),
        (weights_that_are_cut, "no Hugging Face model: SafetensorError"),
        (a_pickle, "no Hugging Face model: .*model.safetensors"),
        (nothing, "holds no config.json"),
    ],
)
def test_folders_that_are_refused(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match=message):
        load_pretrained(tmp_path)


def test_a_norm_of_ones_own_class_is_not_saved(tmp_path: Path) -> None:
    class Own(UnifiedNorm):
        pass

    model = bert()
    convert_norms(model, Own)
    with pytest.raises(InputError, match=r"^Own is a norm that the record cannot describe$"):
        save_pretrained(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_transformers_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Linear is no transformers model"):
        save_pretrained(nn.Linear(2, 2), tmp_path)
    assert list(tmp_path.iterdir()) == []
