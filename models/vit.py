"""Vision Transformer (pre-norm), with the norm as an argument.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv 2010.11929.
The file needs nothing but PyTorch: copy it and change it.

Every factory takes ``norm_layer``, called as ``norm_layer(dim)``:

    vit_tiny()                                     # Layer Normalization
    vit_tiny(norm_layer=UnifiedNorm)               # Unified Normalization
    vit_tiny(norm_layer=lambda dim: nn.Identity()) # no norm at all
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values.

    Args:
        dim: channels; a multiple of ``num_heads``.
        num_heads: number of heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, dim)."""
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, dim // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class Mlp(nn.Module):
    """Two linear layers with GELU between them; ``dim`` channels in and out, ``hidden`` inside."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm block: the residual stream itself is never normalised."""

    def __init__(self, dim: int, num_heads: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, tokens, dim)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Class token, learned position embedding, ``depth`` blocks, norm, linear head.

    Args:
        image_size: height and width of the square image, in pixels; a multiple of ``patch_size``.
        patch_size: height and width of a patch, in pixels.
        in_channels: channels of the image.
        num_classes: logits.
        dim: channels of the residual stream.
        depth: number of blocks, each with two norms.
        num_heads: heads of every attention.
        norm_layer: called as ``norm_layer(dim)`` for every norm.
    """

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {"pixel_values": {0: "batch"}}
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        *,
        image_size: int,
        patch_size: int,
        in_channels: int,
        num_classes: int,
        dim: int,
        depth: int,
        num_heads: int,
        norm_layer: NormLayer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"image_size {image_size} is no multiple of patch_size {patch_size}")
        if dim % num_heads:
            raise ValueError(f"dim {dim} is no multiple of num_heads {num_heads}")
        self.image_shape = (in_channels, image_size, image_size)
        patches = (image_size // patch_size) ** 2
        self.patch_embed = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, dim))
        self.blocks = nn.Sequential(*(Block(dim, num_heads, norm_layer) for _ in range(depth)))
        self.norm = norm_layer(dim)
        self.head = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, in_channels, image_size, image_size) -> logits (batch, num_classes)."""
        x = self.patch_embed(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.blocks(x + self.pos_embed)
        return self.head(self.norm(x)[:, 0])

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Standard normal images, the same at every call; the keys are forward's parameters."""
        generator = torch.Generator().manual_seed(0)
        return {"pixel_values": torch.randn(batch, *self.image_shape, generator=generator)}


def vit_micro(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> VisionTransformer:
    """For 28x28 grey images, 10 classes: patch 4, dim 64, depth 4, 2 heads; 0.2 million weights."""
    sizes = {"image_size": 28, "patch_size": 4, "in_channels": 1, "num_classes": 10}
    sizes |= {"dim": 64, "depth": 4, "num_heads": 2}
    return VisionTransformer(norm_layer=norm_layer, **(sizes | kwargs))


def _vit_imagenet(
    dim: int, num_heads: int, norm_layer: NormLayer, **kwargs: Any
) -> VisionTransformer:
    """Depth 12 for 224x224 colour images in patches of 16, 1000 classes."""
    sizes = {"image_size": 224, "patch_size": 16, "in_channels": 3, "num_classes": 1000}
    sizes |= {"dim": dim, "depth": 12, "num_heads": num_heads}
    return VisionTransformer(norm_layer=norm_layer, **(sizes | kwargs))


def vit_tiny(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> VisionTransformer:
    """ViT-Ti/16: dim 192, depth 12, 3 heads; 5.7 million weights."""
    return _vit_imagenet(192, 3, norm_layer, **kwargs)


def vit_small(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> VisionTransformer:
    """ViT-S/16: dim 384, depth 12, 6 heads; 22 million weights."""
    return _vit_imagenet(384, 6, norm_layer, **kwargs)


def vit_base(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> VisionTransformer:
    """ViT-B/16: dim 768, depth 12, 12 heads; 86.6 million weights."""
    return _vit_imagenet(768, 12, norm_layer, **kwargs)
