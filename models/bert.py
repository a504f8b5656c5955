"""BERT encoder (post-norm), with the norm as an argument.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", NAACL 2019,
arXiv 1810.04805. The file needs nothing but PyTorch: copy it and change it.

Every factory takes ``norm_layer``, called as ``norm_layer(dim)``:

    bert_base()                                     # Layer Normalization
    bert_base(norm_layer=UnifiedNorm)               # Unified Normalization
    bert_base(norm_layer=lambda dim: nn.Identity()) # no norm at all
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]


def normalize(norm: nn.Module, x: Tensor, padding_mask: Tensor) -> Tensor:
    """Apply a norm; in training, one that keeps statistics is told which tokens are padding.

    Args:
        norm: any norm over the last axis.
        x: (batch, sequence, dim).
        padding_mask: (batch, sequence), bool, True where a token is padding. Passed on only in
            training, and only to a norm whose forward has a parameter of that name.
    """
    if norm.training and "padding_mask" in inspect.signature(norm.forward).parameters:
        return norm(x, padding_mask=padding_mask)
    return norm(x)


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values each have their own projection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor, score_mask: Tensor) -> Tensor:
        """(batch, sequence, dim) -> same; ``score_mask`` (batch, 1, 1, sequence) is added."""
        batch, sequence, dim = x.shape

        def heads(y: Tensor) -> Tensor:
            y = y.reshape(batch, sequence, self.num_heads, dim // self.num_heads)
            return y.transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=score_mask)
        return self.output(x.transpose(1, 2).reshape(batch, sequence, dim))


class Layer(nn.Module):
    """Post-norm layer: each norm takes in the residual stream itself."""

    def __init__(self, dim: int, num_heads: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.attention = Attention(dim, num_heads)
        self.attention_norm = norm_layer(dim)
        self.intermediate = nn.Linear(dim, 4 * dim)
        self.output = nn.Linear(4 * dim, dim)
        self.output_norm = norm_layer(dim)

    def forward(self, x: Tensor, score_mask: Tensor, padding_mask: Tensor) -> Tensor:
        """(batch, sequence, dim) -> (batch, sequence, dim)."""
        x = normalize(self.attention_norm, x + self.attention(x, score_mask), padding_mask)
        y = self.output(F.gelu(self.intermediate(x)))
        return normalize(self.output_norm, x + y, padding_mask)


class Bert(nn.Module):
    """Word, position and token-type embeddings, a norm, ``depth`` layers; no pooler, no head.

    Args:
        vocab_size: number of token ids.
        max_positions: longest sequence.
        dim: channels of the residual stream, a multiple of ``num_heads``.
        depth: number of layers, each with two norms.
        num_heads: heads of every attention.
        norm_layer: called as ``norm_layer(dim)`` for every norm.
    """

    TOKEN_TYPES = 2

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        name: {0: "batch", 1: "sequence"}
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    output_names: ClassVar[tuple[str, ...]] = ("last_hidden_state",)

    def __init__(
        self,
        *,
        vocab_size: int,
        max_positions: int,
        dim: int,
        depth: int,
        num_heads: int,
        norm_layer: NormLayer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} is no multiple of num_heads {num_heads}")
        self.word_embeddings = nn.Embedding(vocab_size, dim)
        self.position_embeddings = nn.Embedding(max_positions, dim)
        self.token_type_embeddings = nn.Embedding(self.TOKEN_TYPES, dim)
        self.embedding_norm = norm_layer(dim)
        self.layers = nn.ModuleList(Layer(dim, num_heads, norm_layer) for _ in range(depth))

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Encode token ids.

        Args:
            input_ids: (batch, sequence), int64, below ``vocab_size``.
            attention_mask: (batch, sequence), int64, 1 for a token, 0 for padding.
            token_type_ids: (batch, sequence), int64, 0 or 1.

        Returns:
            last_hidden_state (batch, sequence, dim). A row without any token attends to all its
            positions alike and stays finite.
        """
        x = self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = x + self.position_embeddings(positions)
        # Half the lowest number: a score added to it cannot overflow to -inf in half precision.
        lowest = torch.finfo(x.dtype).min / 2
        score_mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * lowest
        padding_mask = attention_mask == 0
        x = normalize(self.embedding_norm, x, padding_mask)
        for layer in self.layers:
            x = layer(x, score_mask, padding_mask)
        return x

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Random sentence pairs, the same at every call; the first row has no padding.

        Args:
            batch: rows. Each has 16 positions (or ``max_positions`` if that is less), at least
                half of them tokens.
        """
        generator = torch.Generator().manual_seed(0)
        sequence = min(16, self.position_embeddings.num_embeddings)
        shape = (batch, sequence)
        ids = torch.randint(self.word_embeddings.num_embeddings, shape, generator=generator)
        lengths = torch.randint(sequence // 2, sequence + 1, (batch, 1), generator=generator)
        lengths[0] = sequence
        position = torch.arange(sequence).expand(shape)
        return {
            "input_ids": ids,
            "attention_mask": (position < lengths).long(),
            "token_type_ids": (position >= lengths // 2).long(),
        }


def bert_micro(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> Bert:
    """Small enough to test with: dim 64, depth 2, 4 heads, 1000 token ids, 64 positions."""
    sizes = {"vocab_size": 1000, "max_positions": 64, "dim": 64, "depth": 2, "num_heads": 4}
    return Bert(norm_layer=norm_layer, **(sizes | kwargs))


def bert_base(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> Bert:
    """BERT-base: dim 768, depth 12, 12 heads, 30522 token ids, 512 positions."""
    sizes = {"vocab_size": 30522, "max_positions": 512, "dim": 768, "depth": 12, "num_heads": 12}
    return Bert(norm_layer=norm_layer, **(sizes | kwargs))
