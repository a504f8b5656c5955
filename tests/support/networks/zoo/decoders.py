"""Networks that write text, of transformers, each without a cache."""

from __future__ import annotations

from functools import partial

from tests.support.networks.zoo.network import (
    SMALL_TEXT,
    WORDS,
    Inputs,
    of_transformers,
    text,
    words,
)

_SMALL = {**SMALL_TEXT, "use_cache": False}
_FEW_KEYS = {**_SMALL, "num_key_value_heads": 2, "head_dim": 8}


def _words_alone() -> Inputs:
    return {"input_ids": words()}


_of = partial(of_transformers, inputs=text)

NETWORKS = [
    _of(
        "GPT-2",
        "GPT2",
        "LMHeadModel",
        vocab_size=WORDS,
        n_positions=40,
        n_embd=32,
        n_layer=2,
        n_head=4,
        use_cache=False,
        bos_token_id=1,
        eos_token_id=2,
    ),
    _of(
        "OPT",
        "OPT",
        "ForCausalLM",
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        ffn_dim=48,
        max_position_embeddings=40,
        num_attention_heads=4,
        word_embed_proj_dim=32,
        use_cache=False,
    ),
    _of(
        "BLOOM",
        "Bloom",
        "ForCausalLM",
        vocab_size=WORDS,
        hidden_size=32,
        n_layer=2,
        n_head=4,
        use_cache=False,
    ),
    _of("GPT-NeoX", "GPTNeoX", "ForCausalLM", **_SMALL),
    _of("Llama", "Llama", "ForCausalLM", **_FEW_KEYS),
    _of("Qwen3", "Qwen3", "ForCausalLM", **_FEW_KEYS),
    of_transformers(
        "Mamba",
        "Mamba",
        "ForCausalLM",
        _words_alone,
        axes={"input_ids": {0: "batch"}},  # its scan is written out, step by step
        vocab_size=WORDS,
        hidden_size=32,
        state_size=4,
        num_hidden_layers=2,
        expand=2,
        conv_kernel=4,
        time_step_rank=4,
        use_cache=False,
    ),
]
