"""Networks that read text, of transformers."""

from __future__ import annotations

from functools import partial

import torch

from tests.support.networks.zoo.network import (
    SMALL_TEXT,
    WORDS,
    Inputs,
    of_transformers,
    text,
    words,
)


def _with_types() -> Inputs:
    given = text()
    return {**given, "token_type_ids": torch.zeros_like(given["input_ids"])}


def _clip_text() -> Inputs:
    """The end of a text is its highest word."""
    ids = words()
    ids[:, -1] = WORDS - 1
    return {"input_ids": ids}


_of = partial(of_transformers, inputs=text)
_bert = partial(of_transformers, family="Bert", inputs=_with_types, **SMALL_TEXT)

NETWORKS = [
    _bert("BERT", head="Model"),
    _bert("BERT, sequences", head="ForSequenceClassification"),
    _bert("BERT, tokens", head="ForTokenClassification"),
    _bert("BERT, questions", head="ForQuestionAnswering"),
    _bert("BERT, masked words", head="ForMaskedLM"),
    _of("RoBERTa", "Roberta", "ForSequenceClassification", **SMALL_TEXT),
    _of("ALBERT", "Albert", "Model", **SMALL_TEXT, embedding_size=16),
    _of("ELECTRA", "Electra", "ForSequenceClassification", **SMALL_TEXT, embedding_size=16),
    _of(
        "DeBERTa-v2",
        "DebertaV2",
        "ForSequenceClassification",
        **SMALL_TEXT,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_buckets=8,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pooler_hidden_size=32,
    ),
    _of(
        "DistilBERT",
        "DistilBert",
        "ForSequenceClassification",
        vocab_size=WORDS,
        max_position_embeddings=40,
        n_layers=2,
        n_heads=4,
        dim=32,
        hidden_dim=48,
    ),
    _of(
        "ModernBERT",
        "ModernBert",
        "ForMaskedLM",
        **SMALL_TEXT,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
    ),
    of_transformers("CLIP, text", "CLIPText", "Model", _clip_text, **SMALL_TEXT, eos_token_id=2),
]
