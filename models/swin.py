"""Swin Transformer (pre-norm, attention in windows that shift), with the norm as an argument.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
arXiv 2103.14030. The file needs nothing but PyTorch: copy it and change it. Parameters and buffers
are named as in github.com/microsoft/Swin-Transformer, so released weights load strictly.

Every factory takes ``norm_layer``, called as ``norm_layer(dim)``:

    swin_tiny()                                     # Layer Normalization
    swin_tiny(norm_layer=UnifiedNorm)               # Unified Normalization
    swin_tiny(norm_layer=lambda dim: nn.Identity()) # no norm at all

Images may have any size: where windows do not fit, zeros are added at the right and at the bottom
behind the norm, as in Swin's networks for detection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NormLayer = Callable[[int], nn.Module]
Size = tuple[int, int]  # height and width


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias for each relative position.

    Args:
        dim: channels; a multiple of ``num_heads``.
        window: height and width of the square windows, in tokens.
        num_heads: number of heads.
    """

    relative_position_index: Tensor

    def __init__(self, dim: int, window: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        offsets = 2 * window - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets**2, num_heads))
        self.register_buffer("relative_position_index", _relative_positions(window))
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(batch * windows, tokens, dim) -> the same; mask (windows, tokens, tokens) is added."""
        rows, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(rows, tokens, 3, self.num_heads, dim // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        bias = self.relative_position_bias_table[self.relative_position_index.flatten()]
        bias = bias.reshape(tokens, tokens, self.num_heads).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:  # it differs from window to window: each has heads of its own
            bias = (bias + mask.unsqueeze(1)).reshape(1, -1, tokens, tokens)
            heads = (-1, bias.shape[1], tokens, dim // self.num_heads)
            query, key, value = (part.reshape(heads) for part in (query, key, value))
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x.reshape(rows, self.num_heads, tokens, dim // self.num_heads)
        return self.proj(x.transpose(1, 2).reshape(rows, tokens, dim))


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
    """Pre-norm block: attention in windows, moved by half a window if ``shifted``, then the MLP.

    Where the map is no larger than a window, nothing is shifted.
    """

    attn_mask: Tensor | None

    def __init__(
        self,
        dim: int,
        size: Size,
        window: int,
        num_heads: int,
        norm_layer: NormLayer,
        *,
        shifted: bool,
    ) -> None:
        super().__init__()
        self.size, self.window = size, window
        self.padded = (_up(size[0], window), _up(size[1], window))
        self.shift = window // 2 if shifted and min(size) > window else 0
        self.norm1 = norm_layer(dim)
        self.attn = WindowAttention(dim, window, num_heads)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, 4 * dim)
        mask = _shift_mask(self.padded, window, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask)
        self.register_load_state_dict_pre_hook(_keep_mask)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, height * width, dim) -> the same."""
        x = x + self._attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attention(self, x: Tensor) -> Tensor:
        (height, width), (tall, wide), dim = self.size, self.padded, x.shape[-1]
        if self.size == (self.window, self.window):
            return self.attn(x, None)  # the map is one window
        rows, columns, window = tall // self.window, wide // self.window, self.window
        x = x.reshape(-1, height, width, dim)
        if self.padded != self.size:
            x = F.pad(x, (0, 0, 0, wide - width, 0, tall - height))
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        x = x.reshape(-1, rows, window, columns, window, dim).transpose(2, 3)
        x = self.attn(x.reshape(-1, window * window, dim), self.attn_mask)
        x = x.reshape(-1, rows, columns, window, window, dim).transpose(2, 3)
        x = x.reshape(-1, tall, wide, dim)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        if self.padded != self.size:
            x = x[:, :height, :width]
        return x.reshape(-1, height * width, dim)


class PatchMerging(nn.Module):
    """Four neighbours become one token: norm, then a projection to ``2 * dim``.

    A map of odd height or width gets a row or a column of zeros first.
    """

    def __init__(self, dim: int, size: Size, norm_layer: NormLayer, *, bias: bool) -> None:
        super().__init__()
        self.size = size
        self.norm = norm_layer(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, height * width, dim) -> (batch, half of each, rounded up, 2 * dim)."""
        (height, width), dim = self.size, x.shape[-1]
        x = x.reshape(-1, height, width, dim)
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        parts = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, dim=-1).flatten(1, 2)))


class Stage(nn.Module):
    """Blocks on a map of one size, every second of them shifted, and the merging behind them."""

    def __init__(
        self,
        dim: int,
        size: Size,
        depth: int,
        window: int,
        num_heads: int,
        norm_layer: NormLayer,
        merging: nn.Module | None,
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(
                Block(dim, size, window, num_heads, norm_layer, shifted=index % 2 == 1)
                for index in range(depth)
            )
        )
        self.downsample = merging

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, dim) -> (batch, a quarter of them, 2 * dim), or the same at the end."""
        x = self.blocks(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Square patches of an image as tokens, and a norm; the image gets zeros up to whole patches.

    Args:
        in_channels: channels of the image.
        dim: channels of the tokens.
        patch_size: height and width of a patch, in pixels.
        norm_layer: called as ``norm_layer(dim)``.
    """

    def __init__(self, in_channels: int, dim: int, patch_size: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)
        self.norm = norm_layer(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) -> (batch, patches, dim)."""
        below, right = (-x.shape[2]) % self.patch_size, (-x.shape[3]) % self.patch_size
        if below or right:
            x = F.pad(x, (0, right, 0, below))
        return self.norm(self.proj(x).flatten(2).transpose(1, 2))


class SwinTransformer(nn.Module):
    """Patch embedding, stages of blocks in windows, norm, mean of all tokens, linear head.

    Weights for one image size load into a network for any other: masks are made from the sizes.

    Args:
        image_size: height and width of the image, in pixels, or one number for both.
        patch_size: height and width of a patch, in pixels.
        in_channels: channels of the image.
        num_classes: logits.
        dim: channels of the first stage; each later one has twice as many as that before it.
        depths: blocks of every stage, each with two norms.
        num_heads: heads of the attention in every stage.
        window: height and width of a window, in tokens.
        reduction_bias: whether the projections that merge patches have a bias. Swin's have none,
            until a fold gives each one.
        norm_layer: called as ``norm_layer(dim)`` for every norm.
    """

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {"pixel_values": {0: "batch"}}
    output_names: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        *,
        image_size: int | Size,
        patch_size: int,
        in_channels: int,
        num_classes: int,
        dim: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        window: int,
        reduction_bias: bool = False,
        norm_layer: NormLayer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        if len(depths) != len(num_heads):
            raise ValueError(f"depths {depths} and num_heads {num_heads} differ in length")
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.image_shape = (in_channels, height, width)
        self.patch_embed = PatchEmbed(in_channels, dim, patch_size, norm_layer)
        size = (-(-height // patch_size), -(-width // patch_size))
        self.layers = nn.Sequential()
        for depth, heads in zip(depths, num_heads, strict=True):
            if dim % heads:
                raise ValueError(f"dim {dim} is no multiple of num_heads {heads}")
            merging = None
            if len(self.layers) < len(depths) - 1:
                merging = PatchMerging(dim, size, norm_layer, bias=reduction_bias)
            self.layers.append(Stage(dim, size, depth, window, heads, norm_layer, merging))
            if merging is not None:
                dim, size = 2 * dim, (-(-size[0] // 2), -(-size[1] // 2))
        self.norm = norm_layer(dim)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(batch, in_channels, height, width) -> logits (batch, num_classes)."""
        return self.head(self.norm(self.layers(self.patch_embed(pixel_values))).mean(dim=1))

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        """Standard normal images, the same at every call; the keys are forward's parameters."""
        generator = torch.Generator().manual_seed(0)
        return {"pixel_values": torch.randn(batch, *self.image_shape, generator=generator)}


def swin_micro(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> SwinTransformer:
    """For 28x28 grey images, 10 classes: patch 2, dim 32, stages of 2 and 1 blocks, windows of 7;
    0.1 million weights."""
    sizes = {"image_size": 28, "patch_size": 2, "in_channels": 1, "num_classes": 10}
    sizes |= {"dim": 32, "depths": (2, 1), "num_heads": (2, 4), "window": 7}
    return SwinTransformer(norm_layer=norm_layer, **(sizes | kwargs))


def _swin_imagenet(depths: Sequence[int], norm_layer: NormLayer, **kwargs: Any) -> SwinTransformer:
    """For 224x224 colour images in patches of 4 and windows of 7, 1000 classes."""
    sizes = {"image_size": 224, "patch_size": 4, "in_channels": 3, "num_classes": 1000}
    sizes |= {"dim": 96, "depths": depths, "num_heads": (3, 6, 12, 24), "window": 7}
    return SwinTransformer(norm_layer=norm_layer, **(sizes | kwargs))


def swin_tiny(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> SwinTransformer:
    """Swin-T: dim 96, stages of 2, 2, 6 and 2 blocks; 28.3 million weights."""
    return _swin_imagenet((2, 2, 6, 2), norm_layer, **kwargs)


def swin_small(norm_layer: NormLayer = nn.LayerNorm, **kwargs: Any) -> SwinTransformer:
    """Swin-S: dim 96, stages of 2, 2, 18 and 2 blocks; 49.6 million weights."""
    return _swin_imagenet((2, 2, 18, 2), norm_layer, **kwargs)


def _up(size: int, window: int) -> int:
    """The next multiple of the window."""
    return -(-size // window) * window


def _relative_positions(window: int) -> Tensor:
    """Which row of the table each two tokens of a window have, (tokens, tokens)."""
    at = torch.arange(window)
    offset = at[:, None] - at[None, :] + window - 1
    rows, columns = offset[:, None, :, None], offset[None, :, None, :]
    return (rows * (2 * window - 1) + columns).reshape(window**2, window**2)


def _shift_mask(size: Size, window: int, shift: int) -> Tensor:
    """-100 between tokens that only the shift brought into one window, (windows, tokens, tokens).

    A shifted map has nine regions: what wrapped around, what shares its windows, and the rest.
    """
    rows, columns = (
        torch.bucketize(torch.arange(length), torch.tensor([length - window, length - shift]),
                        right=True)
        for length in size
    )  # fmt: skip
    regions = 3 * rows[:, None] + columns
    parts = regions.reshape(size[0] // window, window, size[1] // window, window).transpose(1, 2)
    tokens = parts.reshape(-1, window * window)
    return torch.where(tokens[:, None] == tokens[:, :, None], 0.0, -100.0)


def _keep_mask(block: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """A block's own mask, made for its size, stands in place of a loaded one."""
    state.pop(f"{prefix}attn_mask", None)
    if block.attn_mask is not None:
        state[f"{prefix}attn_mask"] = block.attn_mask
