"""Networks that look at images, of timm: the classes of its models, with few and narrow layers."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from tests.support.networks.zoo.network import BATCH, Inputs, Network


def _of(name: str, room: str, kind: str, size: int = 32, **config: Any) -> Network:
    def make() -> nn.Module:
        module = importlib.import_module(f"timm.models.{room}")
        made: nn.Module = getattr(module, kind)(num_classes=5, **config)
        return made

    def inputs() -> Inputs:
        return {"x": torch.randn(BATCH, 3, size, size)}

    return Network(f"{name}, timm", "timm", make, inputs, {"x": {0: "batch"}})


_32 = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}
_STAGES = {"embed_dims": (16, 24, 32, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}

NETWORKS = [
    _of("ViT", "vision_transformer", "VisionTransformer", **_32),
    _of(
        "DeiT-3",
        "deit",
        "VisionTransformer",
        **_32,
        no_embed_class=True,
        init_values=0.1,
    ),
    _of("CaiT", "cait", "Cait", **_32, depth_token_only=1),
    _of("PVTv2", "pvt_v2", "PyramidVisionTransformerV2", 64, **_STAGES),
    _of("Twins", "twins", "Twins", 64, img_size=64, wss=[2, 2, 2, 2], **_STAGES),
    _of(
        "Swin",
        "swin_transformer",
        "SwinTransformer",
        img_size=32,
        patch_size=2,
        embed_dim=16,
        depths=(2, 2),
        num_heads=(2, 4),
        window_size=4,
    ),
    _of("ConvNeXt", "convnext", "ConvNeXt", depths=(1, 1, 1, 1), dims=(16, 16, 24, 32)),
    _of("Mixer", "mlp_mixer", "MlpMixer", img_size=32, patch_size=8, embed_dim=32, num_blocks=2),
    _of("XCiT", "xcit", "Xcit", **_32),
    _of(
        "CrossViT",
        "crossvit",
        "CrossVit",
        img_size=32,
        img_scale=(1.0, 1.0),
        patch_size=(4, 8),
        embed_dim=(16, 32),
        depth=((1, 2, 0), (1, 2, 0)),
        num_heads=(2, 4),
        mlp_ratio=(2.0, 2.0, 1.0),
    ),
    _of(
        "EfficientFormer",
        "efficientformer",
        "EfficientFormer",
        224,
        depths=(1, 1, 1, 2),
        embed_dims=(8, 16, 24, 32),
        num_vit=1,
    ),
    _of("MobileViT", "mobilevit", "mobilevit_xxs", 64),
]
