"""T2T-ViT (tokens-to-token, pre-norm), with the norm as an argument.

Yuan et al., "Tokens-to-Token ViT: Training Vision Transformers from Scratch on ImageNet",
ICCV 2021, arXiv 2101.11986; parameters are named as in its released code, so checkpoints of that
load. The file needs nothing but PyTorch: copy it and change it.

Every factory takes ``norm_layer``, called as ``norm_layer(dim)``:

    t2t_vit_14()                                     # Layer Normalization
    t2t_vit_14(norm_layer=UnifiedNorm)               # Unified Normalization
    t2t_vit_14(norm_layer=lambda dim: nn.Identity()) # no norm at all

"t2t_vit_t_14" and the like have transformers for tokens where the others have performers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]
Tokens = Literal["performer", "transformer"]


class Mlp(nn.Module):
    """Two linear layers with GELU between them; ``dim`` channels in and out, ``hidden`` inside."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, dim)."""
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, dim // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class Block(nn.Module):
    """Pre-norm block: the residual stream itself is never normalised."""

    def __init__(
        self, dim: int, num_heads: int, hidden: int, qkv_bias: bool, norm_layer: NormLayer
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = Attention(dim, num_heads, qkv_bias)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, dim)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TokenAttention(nn.Module):
    """Self-attention with one head from ``dim`` to ``out`` channels; its values are the residual.

    The released code scales by ``dim ** -0.5``, though queries and keys have ``out`` channels.
    """

    def __init__(self, dim: int, out: int, qkv_bias: bool) -> None:
        super().__init__()
        self.scale = dim**-0.5
        self.qkv = nn.Linear(dim, 3 * out, bias=qkv_bias)
        self.proj = nn.Linear(out, out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, out)."""
        query, key, value = self.qkv(x).unsqueeze(1).chunk(3, dim=-1)
        x = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return (value + self.proj(x)).squeeze(1)


class TokenTransformer(nn.Module):
    """A transformer layer from ``dim`` to ``out`` channels, on the tokens of a soft split."""

    def __init__(self, dim: int, out: int, qkv_bias: bool, norm_layer: NormLayer) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = TokenAttention(dim, out, qkv_bias)
        self.norm2 = norm_layer(out)
        self.mlp = Mlp(out, out)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, out)."""
        x = self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class TokenPerformer(nn.Module):
    """The same with attention whose cost is linear in the tokens (arXiv 2009.14794).

    exp(q k) is the mean of exp(w q - q q / 2) exp(w k - k k / 2) over random directions w, of
    which there are ``out // 2``; they are drawn once and never trained.
    """

    def __init__(self, dim: int, out: int, norm_layer: NormLayer) -> None:
        super().__init__()
        features = out // 2
        # The released code adds 1e-8 to means over the features; sums of them need no division,
        # and exporters and fp16 do not take the greater number for 0.
        self.epsilon = features * 1e-8
        self.norm1 = norm_layer(dim)
        self.kqv = nn.Linear(dim, 3 * out)
        self.w = nn.Parameter(torch.empty(features, out), requires_grad=False)
        nn.init.orthogonal_(self.w, gain=math.sqrt(features))
        self.proj = nn.Linear(out, out)
        self.norm2 = norm_layer(out)
        self.mlp = nn.Sequential(nn.Linear(out, out), nn.GELU(), nn.Linear(out, out))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, out)."""
        key, query, value = self.kqv(self.norm1(x)).chunk(3, dim=-1)
        key, query = self._positive(key), self._positive(query)
        total = query @ key.sum(dim=1, keepdim=True).transpose(1, 2)
        mixed = query @ (key.transpose(1, 2) @ value) / (total + self.epsilon)
        x = value + self.proj(mixed)
        return x + self.mlp(self.norm2(x))

    def _positive(self, x: Tensor) -> Tensor:
        """(batch, tokens, out) -> random features, (batch, tokens, features)."""
        half_square = (x * x).sum(dim=-1, keepdim=True) / 2
        return torch.exp(F.linear(x, self.w) - half_square)


class TokensToToken(nn.Module):
    """Three soft splits (overlapping windows, each a token), and a layer after the first two.

    ``dim`` channels come out; see `T2TViT` for the arguments.
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int,
        dim: int,
        token_dim: int,
        tokens: Tokens,
        qkv_bias: bool,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()

        def layer(dim: int) -> nn.Module:
            if tokens == "performer":
                return TokenPerformer(dim, token_dim, norm_layer)
            return TokenTransformer(dim, token_dim, qkv_bias, norm_layer)

        self.maps = tuple((token_dim, image_size // part, image_size // part) for part in (4, 8))
        self.attention1 = layer(in_channels * 7 * 7)
        self.attention2 = layer(token_dim * 3 * 3)
        self.project = nn.Linear(token_dim * 3 * 3, dim)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, in_channels, image_size, image_size) -> (batch, tokens, dim)."""
        x = F.unfold(pixel_values, 7, stride=4, padding=2).transpose(1, 2)
        for layer, shape in zip((self.attention1, self.attention2), self.maps, strict=True):
            x = layer(x).transpose(1, 2).reshape(-1, *shape)
            x = F.unfold(x, 3, stride=2, padding=1).transpose(1, 2)
        return self.project(x)


def sinusoids(positions: int, dim: int) -> Tensor:
    """A row for each position, (positions, dim): sine and cosine in turn, ever slower."""
    speed = 10000.0 ** (-2 * (torch.arange(dim) // 2).double() / dim)
    angle = torch.arange(positions).double()[:, None] * speed
    return torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos()).float()


class T2TViT(nn.Module):
    """Tokens-to-token, class token, fixed positions, ``depth`` blocks, norm, linear head.

    Args:
        image_size: height and width of the square image, in pixels; a multiple of 16.
        in_channels: channels of the image.
        num_classes: logits.
        dim: channels of the residual stream.
        depth: number of blocks, each with two norms.
        num_heads: heads of every attention.
        mlp_ratio: channels inside an MLP over ``dim``.
        token_dim: channels between the soft splits.
        tokens: attention of the two layers between them: "performer" or "transformer".
        qkv_bias: whether projections to queries, keys and values have one; a performer's always do.
        norm_layer: called as ``norm_layer(dim)`` for every norm.
    """

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {"pixel_values": {0: "batch"}}
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        *,
        image_size: int,
        in_channels: int,
        num_classes: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: int,
        token_dim: int,
        tokens: Tokens = "performer",
        qkv_bias: bool = False,
        norm_layer: NormLayer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        if image_size % 16:
            raise ValueError(f"image_size {image_size} is no multiple of 16")
        if tokens not in get_args(Tokens):
            raise ValueError(f"tokens {tokens!r} is none of {get_args(Tokens)}")
        if dim % num_heads:
            raise ValueError(f"dim {dim} is no multiple of num_heads {num_heads}")
        self.image_shape = (in_channels, image_size, image_size)
        self.tokens_to_token = TokensToToken(
            image_size, in_channels, dim, token_dim, tokens, qkv_bias, norm_layer
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        table = sinusoids(1 + (image_size // 16) ** 2, dim)
        self.pos_embed = nn.Parameter(table[None], requires_grad=False)
        hidden = mlp_ratio * dim
        self.blocks = nn.Sequential(
            *(Block(dim, num_heads, hidden, qkv_bias, norm_layer) for _ in range(depth))
        )
        self.norm = norm_layer(dim)
        self.head = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, in_channels, image_size, image_size) -> logits (batch, num_classes)."""
        x = self.tokens_to_token(pixel_values)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.blocks(x + self.pos_embed)
        return self.head(self.norm(x)[:, 0])

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Standard normal images, the same at every call; the keys are forward's parameters."""
        generator = torch.Generator().manual_seed(0)
        return {"pixel_values": torch.randn(batch, *self.image_shape, generator=generator)}


def t2t_vit_micro(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """For 32x32 grey images, 10 classes: dim 64, depth 2, 4 heads, 32 channels between splits."""
    sizes = {"image_size": 32, "in_channels": 1, "num_classes": 10, "token_dim": 32}
    sizes |= {"dim": 64, "depth": 2, "num_heads": 4, "mlp_ratio": 3}
    return T2TViT(norm_layer=norm_layer, **(sizes | kwargs))


def _t2t_vit_imagenet(
    dim: int, depth: int, mlp_ratio: int, norm_layer: NormLayer, **kwargs: Any
) -> T2TViT:
    """For 224x224 colour images, 1000 classes; heads of 64 channels."""
    sizes = {"image_size": 224, "in_channels": 3, "num_classes": 1000, "token_dim": 64}
    sizes |= {"dim": dim, "depth": depth, "num_heads": dim // 64, "mlp_ratio": mlp_ratio}
    return T2TViT(norm_layer=norm_layer, **(sizes | kwargs))


def t2t_vit_7(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-7: dim 256, depth 7, 4 heads; 4.3 million weights."""
    return _t2t_vit_imagenet(256, 7, 2, norm_layer, **kwargs)


def t2t_vit_10(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-10: dim 256, depth 10, 4 heads; 5.9 million weights."""
    return _t2t_vit_imagenet(256, 10, 2, norm_layer, **kwargs)


def t2t_vit_12(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-12: dim 256, depth 12, 4 heads; 6.9 million weights."""
    return _t2t_vit_imagenet(256, 12, 2, norm_layer, **kwargs)


def t2t_vit_14(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-14: dim 384, depth 14, 6 heads; 21.5 million weights."""
    return _t2t_vit_imagenet(384, 14, 3, norm_layer, **kwargs)


def t2t_vit_19(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-19: dim 448, depth 19, 7 heads; 39.2 million weights."""
    return _t2t_vit_imagenet(448, 19, 3, norm_layer, **kwargs)


def t2t_vit_24(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT-24: dim 512, depth 24, 8 heads; 64.1 million weights."""
    return _t2t_vit_imagenet(512, 24, 3, norm_layer, **kwargs)


def t2t_vit_t_14(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-14: T2T-ViT-14 with transformers for tokens; 21.5 million weights."""
    return t2t_vit_14(norm_layer, **({"tokens": "transformer"} | kwargs))


def t2t_vit_t_19(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-19: T2T-ViT-19 with transformers for tokens; 39.2 million weights."""
    return t2t_vit_19(norm_layer, **({"tokens": "transformer"} | kwargs))


def t2t_vit_t_24(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> T2TViT:
    """T2T-ViT_t-24: T2T-ViT-24 with transformers for tokens; 64.1 million weights."""
    return t2t_vit_24(norm_layer, **({"tokens": "transformer"} | kwargs))
