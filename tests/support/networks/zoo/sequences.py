"""Networks that turn one sequence into another, or sound into text, of transformers."""

from __future__ import annotations

import torch

from tests.support.networks.zoo.network import (
    BATCH,
    SMALL,
    WORDS,
    Inputs,
    of_transformers,
    text,
    words,
)

_SMALL = {
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_ffn_dim": 48,
    "encoder_attention_heads": 4,
    "decoder_layers": 2,
    "decoder_ffn_dim": 48,
    "decoder_attention_heads": 4,
    "use_cache": False,
}
_TEXT = {**_SMALL, "vocab_size": WORDS, "max_position_embeddings": 40}


def _two_texts() -> Inputs:
    return {**text(), "decoder_input_ids": words(5)}


def _spectrum() -> Inputs:
    return {"input_features": torch.randn(BATCH, 8, 32), "decoder_input_ids": words(5)}


def _sound() -> Inputs:
    return {"input_values": torch.randn(BATCH, 800)}


NETWORKS = [
    of_transformers("BART", "Bart", "ForConditionalGeneration", _two_texts, **_TEXT),
    of_transformers("mBART", "MBart", "ForConditionalGeneration", _two_texts, **_TEXT),
    of_transformers(
        "Marian",
        "Marian",
        "MTModel",
        _two_texts,
        **_TEXT,
        decoder_vocab_size=WORDS,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    ),
    of_transformers(
        "T5",
        "T5",
        "ForConditionalGeneration",
        _two_texts,
        vocab_size=WORDS,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        use_cache=False,
    ),
    of_transformers(
        "Whisper",
        "Whisper",
        "ForConditionalGeneration",
        _spectrum,
        **_SMALL,
        vocab_size=WORDS,
        num_mel_bins=8,
        max_source_positions=16,
        max_target_positions=20,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    ),
    of_transformers(
        "Wav2Vec2",
        "Wav2Vec2",
        "ForCTC",
        _sound,
        **SMALL,
        vocab_size=32,
        feat_extract_norm="layer",
        conv_dim=[16, 16, 16],
        conv_stride=[5, 4, 2],
        conv_kernel=[10, 8, 4],
        conv_bias=True,
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    ),
]
