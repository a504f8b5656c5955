"""Translation: fairseq's transformer_iwslt_de_en, pre-norm, whole and in parts; the norm is given.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762. Weights and buffers
have fairseq's names and shapes (embeddings shared by source, target and output), so its
checkpoints load strictly. Padding stands behind the tokens. There is no dropout.
The file needs nothing but PyTorch: copy it and change it.

Every factory takes ``norm_layer``, called as ``norm_layer(dim)``:

    nmt_iwslt()                                     # Layer Normalization
    nmt_iwslt(norm_layer=UnifiedNorm)               # Unified Normalization
    nmt_iwslt(norm_layer=lambda dim: nn.Identity()) # no norm at all

``nmt_iwslt().parts()`` are the three networks that translate, token by token (models/search.py):

    encoder  source_ids, source_mask -> encoder_out
    first    target_ids, source_mask, encoder_out -> logits, present_*
    step     target_ids, source_mask, past_* -> logits, present_self_*

``past_NAME`` is the last ``present_NAME``: keys and values of every layer, of the target so far
(``self_key_0``, ``self_value_0``, ...) and of the source (``cross_key_0``, ``cross_value_0``, ...).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]
KeyValue = tuple[Tensor, Tensor]
"""Keys and values, each (batch, heads, tokens, dim / heads)."""

PADDING, END = 1, 2
"""fairseq's ids of padding and of the end of a sentence, with which a target begins too."""

WORDS = 4
"""The first id of a word."""


def normalize(norm: nn.Module, x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """Apply a norm; in training, one that keeps statistics is told which tokens are padding.

    Args:
        norm: any norm over the last axis.
        x: (batch, tokens, dim).
        padding_mask: (batch, tokens), bool, True where a token is padding. Passed on only in
            training, and only to a norm whose forward has a parameter of that name.
    """
    if norm.training and "padding_mask" in inspect.signature(norm.forward).parameters:
        return norm(x, padding_mask=padding_mask)
    return norm(x)


def hidden(where: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention scores so that keys are not seen where this is True."""
    # Half the lowest number: a score added to it cannot overflow to -inf in half precision.
    return where.to(dtype) * (torch.finfo(dtype).min / 2)


class Attention(nn.Module):
    """Multi-head attention; queries come from one sequence, keys and values from any."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.q_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def _heads(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        return x.reshape(batch, tokens, self.num_heads, dim // self.num_heads).transpose(1, 2)

    def keys_values(self, x: Tensor) -> KeyValue:
        """Of a sequence (batch, tokens, dim)."""
        return self._heads(self.k_proj(x)), self._heads(self.v_proj(x))

    def forward(self, x: Tensor, of: KeyValue, mask: Tensor | None) -> Tensor:
        """(batch, tokens, dim) -> same; ``mask`` is added to (batch, heads, tokens, keys)."""
        query = self._heads(self.q_proj(x))
        y = F.scaled_dot_product_attention(query, *of, attn_mask=mask)
        return self.out_proj(y.transpose(1, 2).reshape(x.shape))


class EncoderLayer(nn.Module):
    """Self-attention and two linear layers, each behind a norm: the stream is never normalised."""

    def __init__(self, dim: int, hidden_dim: int, num_heads: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.self_attn = Attention(dim, num_heads)
        self.self_attn_layer_norm = norm_layer(dim)
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.final_layer_norm = norm_layer(dim)

    def feed_forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """(batch, tokens, dim) -> same."""
        y = normalize(self.final_layer_norm, x, padding)
        return x + self.fc2(F.relu(self.fc1(y)))

    def forward(self, x: Tensor, mask: Tensor, padding: Tensor | None) -> Tensor:
        """(batch, tokens, dim) -> same."""
        y = normalize(self.self_attn_layer_norm, x, padding)
        x = x + self.self_attn(y, self.self_attn.keys_values(y), mask)
        return self.feed_forward(x, padding)


class DecoderLayer(EncoderLayer):
    """An encoder's layer with attention to the source in its middle."""

    def __init__(self, dim: int, hidden_dim: int, num_heads: int, norm_layer: NormLayer) -> None:
        super().__init__(dim, hidden_dim, num_heads, norm_layer)
        self.encoder_attn = Attention(dim, num_heads)
        self.encoder_attn_layer_norm = norm_layer(dim)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        past: KeyValue | None,
        mask: Tensor | None,
        source: KeyValue,
        source_mask: Tensor,
        padding: Tensor | None,
    ) -> tuple[Tensor, KeyValue]:
        """(batch, tokens, dim) -> same, and keys and values of the past and these tokens."""
        y = normalize(self.self_attn_layer_norm, x, padding)
        key, value = self.self_attn.keys_values(y)
        if past is not None:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        x = x + self.self_attn(y, (key, value), mask)
        y = normalize(self.encoder_attn_layer_norm, x, padding)
        x = x + self.encoder_attn(y, source, source_mask)
        return self.feed_forward(x, padding), (key, value)


class Positions(nn.Module):
    """Sines and cosines, (positions, dim); the first token has the position ``PADDING + 1``."""

    def __init__(self, positions: int, dim: int) -> None:
        super().__init__()
        half = dim // 2
        rates = torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1)))
        angles = torch.arange(positions + PADDING + 1)[:, None] * rates
        table = torch.cat([angles.sin(), angles.cos()], 1)
        self.register_buffer("table", table, persistent=False)
        self.register_buffer("_float_tensor", torch.zeros(1))  # of fairseq's checkpoints

    def forward(self, tokens: int, past: int) -> Tensor:
        """Of so many tokens behind others: (tokens, dim)."""
        places = torch.arange(tokens, device=self.table.device) + (past + PADDING + 1)
        return F.embedding(places, self.table)


class Stack(nn.Module):
    """What encoder and decoder share: embeddings, layers of one class and a last norm."""

    layer: ClassVar[type[EncoderLayer]]

    def __init__(
        self,
        embed_tokens: nn.Embedding,
        *,
        max_positions: int,
        hidden_dim: int,
        depth: int,
        num_heads: int,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        dim = embed_tokens.embedding_dim
        self.register_buffer("version", torch.full((1,), 3.0))  # of fairseq's checkpoints
        self.embed_tokens = embed_tokens
        self.embed_positions = Positions(max_positions, dim)
        self.layers = nn.ModuleList(
            self.layer(dim, hidden_dim, num_heads, norm_layer) for _ in range(depth)
        )
        self.layer_norm = norm_layer(dim)

    def embed(self, ids: Tensor, past: int = 0) -> Tensor:
        """(batch, tokens) -> (batch, tokens, dim)."""
        x = self.embed_tokens(ids) * math.sqrt(self.embed_tokens.embedding_dim)
        return x + self.embed_positions(ids.shape[1], past)

    def random_ids(self, batch: int, tokens: int, generator: torch.Generator) -> Tensor:
        """Words, int64 (batch, tokens)."""
        return torch.randint(
            WORDS, self.embed_tokens.num_embeddings, (batch, tokens), generator=generator
        )


class Encoder(Stack):
    """Reads the source: the first part of a translation, see the file's head."""

    layer = EncoderLayer
    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        name: {0: "batch", 1: "source"} for name in ("source_ids", "source_mask")
    }
    output_names: ClassVar[tuple[str, ...]] = ("encoder_out",)

    def forward(self, source_ids: Tensor, source_mask: Tensor) -> Tensor:
        """Encode a batch of sentences.

        Args:
            source_ids: (batch, source), int64.
            source_mask: (batch, source), int64, 1 for a token, 0 for padding behind the tokens.

        Returns:
            encoder_out (batch, source, dim).
        """
        x = self.embed(source_ids)
        padding = source_mask == 0
        mask = hidden(padding, x.dtype)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask, padding)
        return normalize(self.layer_norm, x, padding)

    def example_inputs(self, batch: int = 2, source: int = 16) -> dict[str, Tensor]:
        """Random words, the same at every call; the first row has no padding."""
        generator = torch.Generator().manual_seed(0)
        mask = example_mask(batch, source, generator)
        ids = self.random_ids(batch, source, generator)
        return {"source_ids": ids.where(mask == 1, PADDING), "source_mask": mask}


class Decoder(Stack):
    """Writes the target: from tokens, the source, and the past to logits and the new past."""

    layer = DecoderLayer

    def __init__(self, embed_tokens: nn.Embedding, *, output_bias: bool, **sizes: Any) -> None:
        super().__init__(embed_tokens, **sizes)
        words, dim = embed_tokens.weight.shape
        self.output_projection = nn.Linear(dim, words, bias=output_bias)
        self.output_projection.weight = embed_tokens.weight

    def sources(self, encoder_out: Tensor) -> list[KeyValue]:
        """Keys and values of the source for every layer."""
        return [layer.encoder_attn.keys_values(encoder_out) for layer in self.layers]

    def forward(
        self,
        target_ids: Tensor,
        source_mask: Tensor,
        sources: Sequence[KeyValue],
        past: Sequence[KeyValue] | None = None,
    ) -> tuple[Tensor, list[KeyValue]]:
        """Logits (batch, target, words) of what follows each token, and each layer's past.

        Args:
            target_ids: (batch, target), int64; one for each row where there is a past.
            source_mask: (batch, source), int64, see `Encoder`.
            sources: from `sources`.
            past: of the tokens before these, from the call before.
        """
        target = target_ids.shape[1]
        x = self.embed(target_ids, 0 if past is None else past[0][0].shape[2])
        padding = target_ids == PADDING if self.training else None
        source_scores = hidden(source_mask == 0, x.dtype)[:, None, None, :]
        mask = None
        if past is None:
            place = torch.arange(target, device=x.device)
            mask = hidden(place > place[:, None], x.dtype)
        present = []
        for number, (layer, source) in enumerate(zip(self.layers, sources, strict=True)):
            own = None if past is None else past[number]
            x, kept = layer(x, own, mask, source, source_scores, padding)
            present.append(kept)
        return self.output_projection(normalize(self.layer_norm, x, padding)), present


class Translation(nn.Module):
    """Encoder and decoder, as they are trained: the target is given.

    Args:
        words: number of token ids.
        max_positions: longest source and target.
        dim: channels of the residual streams, a multiple of ``num_heads``.
        hidden_dim: channels between the two linear layers.
        depth: layers of each; an encoder's have two norms, a decoder's three.
        num_heads: heads of every attention.
        norm_layer: called as ``norm_layer(dim)`` for every norm.
        output_bias: give the projection to words a bias, which a fold gives it anyway.
    """

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        **Encoder.dynamic_axes,
        "target_ids": {0: "batch", 1: "target"},
    }
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        *,
        words: int,
        max_positions: int,
        dim: int,
        hidden_dim: int,
        depth: int,
        num_heads: int,
        norm_layer: NormLayer = nn.LayerNorm,
        output_bias: bool = False,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} is no multiple of num_heads {num_heads}")
        if dim < 4 or dim % 2:
            raise ValueError(f"dim {dim} has no sines and cosines: give an even one from 4 on")
        embed_tokens = nn.Embedding(words, dim, padding_idx=PADDING)
        nn.init.normal_(embed_tokens.weight, std=dim**-0.5)
        with torch.no_grad():
            embed_tokens.weight[PADDING].zero_()
        sizes = {"max_positions": max_positions, "hidden_dim": hidden_dim, "depth": depth}
        sizes["num_heads"] = num_heads
        self.encoder = Encoder(embed_tokens, **sizes, norm_layer=norm_layer)
        self.decoder = Decoder(
            embed_tokens, **sizes, norm_layer=norm_layer, output_bias=output_bias
        )

    def forward(self, source_ids: Tensor, source_mask: Tensor, target_ids: Tensor) -> Tensor:
        """Logits (batch, target, words) of what follows each token of the target.

        Args:
            source_ids, source_mask: (batch, source), int64, see `Encoder`.
            target_ids: (batch, target), int64, padding behind the tokens.
        """
        sources = self.decoder.sources(self.encoder(source_ids, source_mask))
        return self.decoder(target_ids, source_mask, sources)[0]

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Random words, the same at every call; the first row has no padding."""
        generator = torch.Generator().manual_seed(1)
        target = self.decoder.random_ids(batch, 12, generator)
        target = target.where(example_mask(batch, 12, generator) == 1, PADDING)
        return self.encoder.example_inputs(batch) | {"target_ids": target}

    def parts(self) -> dict[str, nn.Module]:
        """The networks that translate, in the order in which they run; they share the weights."""
        return {
            "encoder": self.encoder,
            "first": FirstStep(self.decoder),
            "step": CachedStep(self.decoder),
        }


class FirstStep(nn.Module):
    """The decoder on the first tokens of a target; also gives all keys and values."""

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {
        "target_ids": {0: "batch", 1: "target"},
        "source_mask": {0: "batch", 1: "source"},
        "encoder_out": {0: "batch", 1: "source"},
    }

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.output_names = ("logits", *cache_names(decoder, "present", "self", "cross"))

    def forward(
        self, target_ids: Tensor, source_mask: Tensor, encoder_out: Tensor
    ) -> tuple[Tensor, ...]:
        """Begin a translation.

        Args:
            target_ids: (batch, target), int64, no padding.
            source_mask: (batch, source), int64, see `Encoder`.
            encoder_out: (batch, source, dim).

        Returns:
            as ``output_names`` has them: logits (batch, target, words), then each layer's self keys
            and values (batch, heads, target, dim / heads), and cross keys and values
            (batch, heads, source, dim / heads).
        """
        sources = self.decoder.sources(encoder_out)
        logits, present = self.decoder(target_ids, source_mask, sources)
        return (logits, *flat(present), *flat(sources))

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Random words and sources, the same at every call."""
        generator = torch.Generator().manual_seed(0)
        mask = example_mask(batch, 16, generator)
        dim = self.decoder.embed_tokens.embedding_dim
        return {
            "target_ids": self.decoder.random_ids(batch, 3, generator),
            "source_mask": mask,
            "encoder_out": torch.randn(batch, 16, dim, generator=generator),
        }


class CachedStep(nn.Module):
    """The decoder on one more token of each row."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.output_names = ("logits", *cache_names(decoder, "present", "self"))
        axes = {"self": {0: "batch", 2: "past"}, "cross": {0: "batch", 2: "source"}}
        self.dynamic_axes = {
            "target_ids": {0: "batch"},
            "source_mask": {0: "batch", 1: "source"},
            **{n: axes[kind] for kind in axes for n in cache_names(decoder, "past", kind)},
        }

    def forward(
        self, target_ids: Tensor, source_mask: Tensor, **past: Tensor
    ) -> tuple[Tensor, ...]:
        """Go on with a translation.

        Args:
            target_ids: (batch, 1), int64.
            source_mask: (batch, source), int64, see `Encoder`.
            past: keys and values, named as in the file's head.

        Returns:
            as ``output_names`` has them: logits (batch, 1, words), then each layer's self keys and
            values (batch, heads, past + 1, dim / heads).
        """
        own, sources = (
            pairs([past[name] for name in cache_names(self.decoder, "past", kind)])
            for kind in ("self", "cross")
        )
        logits, present = self.decoder(target_ids, source_mask, sources, own)
        return (logits, *flat(present))

    def example_inputs(self, batch: int = 2, source: int = 16, past: int = 8) -> dict[str, Tensor]:
        """Random words and caches, the same at every call."""
        generator = torch.Generator().manual_seed(0)
        heads = self.decoder.layers[0].self_attn.num_heads
        width = self.decoder.embed_tokens.embedding_dim // heads
        tokens = {"self": past, "cross": source}
        return {
            "target_ids": self.decoder.random_ids(batch, 1, generator),
            "source_mask": example_mask(batch, source, generator),
            **{
                name: torch.randn(batch, heads, tokens[kind], width, generator=generator)
                for kind in tokens
                for name in cache_names(self.decoder, "past", kind)
            },
        }


def cache_names(decoder: Decoder, when: str, *kinds: str) -> list[str]:
    """``past`` or ``present`` keys and values of all layers, of the kinds self and cross."""
    layers = range(len(decoder.layers))
    return [f"{when}_{k}_{what}_{n}" for k in kinds for n in layers for what in ("key", "value")]


def flat(pairs: Sequence[KeyValue]) -> tuple[Tensor, ...]:
    """Keys and values of all layers in a row."""
    return tuple(tensor for pair in pairs for tensor in pair)


def pairs(tensors: Sequence[Tensor]) -> list[KeyValue]:
    """The inverse of `flat`."""
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def example_mask(batch: int, tokens: int, generator: torch.Generator) -> Tensor:
    """1 for tokens and 0 behind them, int64; at least half are tokens, and all of the first row."""
    lengths = torch.randint(tokens // 2, tokens + 1, (batch, 1), generator=generator)
    lengths[0] = tokens
    return (torch.arange(tokens) < lengths).long()


def nmt_micro(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> Translation:
    """Small enough to test with: 100 ids, dim 32, 2 layers each, 2 heads, 64 positions."""
    sizes = {"words": 100, "max_positions": 64, "dim": 32, "hidden_dim": 64, "depth": 2}
    return Translation(norm_layer=norm_layer, **(sizes | {"num_heads": 2} | kwargs))


def nmt_micro_encoder(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The first part of `nmt_micro`."""
    return nmt_micro(norm_layer, **kwargs).parts()["encoder"]


def nmt_micro_first(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The second part of `nmt_micro`."""
    return nmt_micro(norm_layer, **kwargs).parts()["first"]


def nmt_micro_step(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The third part of `nmt_micro`."""
    return nmt_micro(norm_layer, **kwargs).parts()["step"]


def nmt_iwslt(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> Translation:
    """transformer_iwslt_de_en: dim 512, 1024 between, 6 layers each, 4 heads, 10152 ids."""
    sizes = {"words": 10152, "max_positions": 1024, "dim": 512, "hidden_dim": 1024, "depth": 6}
    return Translation(norm_layer=norm_layer, **(sizes | {"num_heads": 4} | kwargs))


def nmt_iwslt_encoder(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The first part of `nmt_iwslt`."""
    return nmt_iwslt(norm_layer, **kwargs).parts()["encoder"]


def nmt_iwslt_first(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The second part of `nmt_iwslt`."""
    return nmt_iwslt(norm_layer, **kwargs).parts()["first"]


def nmt_iwslt_step(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> nn.Module:
    """The third part of `nmt_iwslt`."""
    return nmt_iwslt(norm_layer, **kwargs).parts()["step"]
