"""The BERT recipe: its architecture, its norms and its masks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models import bert  # noqa: E402
from tests.support.networks.masked_norm import MaskedNorm, masked_norms  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(
    ("factory", "dim", "depth", "heads"),
    [(bert.bert_micro, 64, 2, 4), (bert.bert_base, 768, 12, 12)],
)
def test_sizes(factory, dim: int, depth: int, heads: int) -> None:
    with torch.device("meta"):
        model = factory()
    assert len(model.layers) == depth
    assert {layer.attention.num_heads for layer in model.layers} == {heads}
    assert model.word_embeddings.embedding_dim == dim


def test_every_norm_is_the_one_given() -> None:
    model = bert.bert_micro(norm_layer=MaskedNorm)
    assert [norm.dim for norm in masked_norms(model)] == [64] * 5
    assert not any(isinstance(module, nn.LayerNorm) for module in model.modules())


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        bert.bert_micro(num_heads=3)


def test_example_inputs_are_valid() -> None:
    first = bert.bert_micro().example_inputs(8)
    assert {value.shape for value in first.values()} == {(8, 16)}
    assert {value.dtype for value in first.values()} == {torch.int64}
    assert first["attention_mask"].sum(1).min() < 16  # some padding
    assert first["attention_mask"][0].sum() == 16  # and a row without
    assert set(first["attention_mask"].unique().tolist()) == {0, 1}
    assert set(first["token_type_ids"].unique().tolist()) == {0, 1}


def test_padding_changes_no_token() -> None:
    torch.manual_seed(0)
    model = bert.bert_micro().eval()
    inputs = model.example_inputs(8)
    tokens = inputs["attention_mask"].bool()
    other = inputs | {"input_ids": inputs["input_ids"].where(tokens, 7)}
    with torch.no_grad():
        first, second = model(**inputs), model(**other)
    assert torch.equal(first[tokens], second[tokens])
    assert not torch.equal(first[~tokens], second[~tokens])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_row_without_tokens_stays_finite(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = bert.bert_micro().eval().to(dtype)
    inputs = model.example_inputs(2)
    inputs["attention_mask"][1] = 0
    with torch.no_grad():
        assert model(**inputs).isfinite().all()


def test_a_norm_with_a_mask_gets_it_in_training_only() -> None:
    model = bert.bert_micro(norm_layer=MaskedNorm)
    inputs = model.example_inputs(8)
    padding = inputs["attention_mask"] == 0
    model.train()(**inputs)
    assert all(torch.equal(norm.seen, padding) for norm in masked_norms(model))
    model.eval()(**inputs)
    assert all(norm.seen is None for norm in masked_norms(model))
