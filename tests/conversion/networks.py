"""Small networks to convert: pre-norm, whose tokens' lengths vary, and post-norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.vit import VisionTransformer

CHANNELS = 16


def pre_norm(depth: int = 2) -> VisionTransformer:
    """Two blocks, five norms; its weights are random, of a trained network's size."""
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=8, patch_size=4, in_channels=1, num_classes=3,
        dim=CHANNELS, depth=depth, num_heads=2,
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5)
            elif "norm" in name:
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return model.eval()


class PostNorm(nn.Module):
    """x -> norm(x + linear(x)), twice, then a head; over the tokens of (B, T, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(CHANNELS, CHANNELS) for _ in range(2))
        self.norm1, self.norm2 = (nn.LayerNorm(CHANNELS) for _ in range(2))
        self.head = nn.Linear(CHANNELS, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.first(x))
        x = self.norm2(x + self.second(x))
        return self.head(x)


def post_norm() -> PostNorm:
    torch.manual_seed(0)
    return PostNorm().eval()


def images(batches: int, seed: int = 0) -> list[dict[str, Tensor]]:
    """Batches of 32 images of different contrast, by name."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(batches, 32, 1, 8, 8, generator=generator)
    contrast = 0.5 + torch.rand(batches, 32, 1, 1, 1, generator=generator)
    return [{"pixel_values": batch} for batch in drawn * contrast]


def rows(batches: int, seed: int = 0) -> list[Tensor]:
    """Batches of 8 sequences of 6 tokens, as positional arguments."""
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(batches, 8, 6, CHANNELS, generator=generator))
