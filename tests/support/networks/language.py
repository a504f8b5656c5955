"""A small Llama and a small BERT, built from a configuration, with trained-like norms."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # torch's own short name for it


@dataclass(frozen=True)
class Config:
    """Sizes, named as in the configurations of transformers."""

    vocab_size: int = 50
    hidden_size: int = 16
    intermediate_size: int = 24
    num_hidden_layers: int = 2
    num_attention_heads: int = 2
    num_key_value_heads: int = 1


class LlamaRMSNorm(nn.Module):
    """Measured in float32, its weight in the tensor's type, as in transformers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * wide.to(x.dtype)


class LlamaLayer(nn.Module):
    """RMSNorm, grouped-query attention with rotary positions, RMSNorm, SwiGLU."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, heads = config.hidden_size, config.num_attention_heads
        self.head = width // heads
        small = config.num_key_value_heads * self.head
        self.input_layernorm = LlamaRMSNorm(width)
        self.post_attention_layernorm = LlamaRMSNorm(width)
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, small, bias=False) for _ in range(2))
        self.o_proj = nn.Linear(width, width, bias=False)
        inner = config.intermediate_size
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)
        self.repeats = heads // config.num_key_value_heads

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        n = self.input_layernorm(x)
        q, k, v = (self._split(part(n)) for part in (self.q_proj, self.k_proj, self.v_proj))
        q, k = (_turned(part, cos, sin) for part in (q, k))
        k, v = (part.repeat_interleave(self.repeats, 1) for part in (k, v))
        logits = q @ k.transpose(-1, -2) * self.head**-0.5
        mixed = (logits.softmax(-1) @ v).transpose(1, 2)
        x = x + self.o_proj(mixed.reshape(x.shape))
        n = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(n)) * self.up_proj(n))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], -1, self.head).transpose(1, 2)


class Llama(nn.Module):
    """Token numbers in, logits out; the head is not tied to the table of words."""

    def __init__(self, config: Config, tokens: int = 5) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = LlamaRMSNorm(config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        head = config.hidden_size // config.num_attention_heads
        turns = torch.arange(tokens)[:, None] * 100.0 ** -(torch.arange(0, head, 2) / head)
        turns = torch.cat([turns, turns], -1)
        self.register_buffer("cos", turns.cos())
        self.register_buffer("sin", turns.sin())

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return self.lm_head(self.norm(x))


class BertLayer(nn.Module):
    """Attention and MLP, each followed by its LayerNorm, or led by it as in Megatron's BERT."""

    def __init__(self, config: Config, *, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        width = config.hidden_size
        self.heads = config.num_attention_heads
        self.query, self.key, self.value, self.dense = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm, self.output_norm = _layer_norm(width), _layer_norm(width)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.pre_norm:
            x = x + self._attention(self.attention_norm(x))
            n = self.output_norm(x)
            return x + self.output(F.gelu(self.intermediate(n)))
        x = self.attention_norm(x + self._attention(x))
        return self.output_norm(x + self.output(F.gelu(self.intermediate(x))))

    def _attention(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        mixed = (logits.softmax(-1) @ v).transpose(1, 2).reshape(x.shape)
        return self.dense(mixed)


class Bert(nn.Module):
    """Token numbers in; a classifier reads the first token's last state."""

    def __init__(self, config: Config, tokens: int = 5, *, pre_norm: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Parameter(torch.randn(tokens, config.hidden_size))
        self.pre_norm = pre_norm
        self.norm = _layer_norm(config.hidden_size)
        self.layers = nn.ModuleList(
            BertLayer(config, pre_norm=pre_norm) for _ in range(config.num_hidden_layers)
        )
        self.classifier = nn.Linear(config.hidden_size, 3)

    def forward(self, input_ids: Tensor) -> Tensor:
        x = self.words(input_ids) + self.positions
        x = x if self.pre_norm else self.norm(x)
        for layer in self.layers:
            x = layer(x)
        return self.classifier((self.norm(x) if self.pre_norm else x)[:, 0])


def _layer_norm(width: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(width)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    return norm


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin
