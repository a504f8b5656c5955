"""Diffusion transformers, of diffusers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.support.networks.zoo.network import BATCH, Inputs, Network


def _of(name: str, kind: str, inputs: Callable[[], Inputs], **config: Any) -> Network:
    def make() -> nn.Module:
        made: nn.Module = getattr(importlib.import_module("diffusers"), kind)(**config)
        return made

    batch = {name: {0: "batch"} for name in inputs() if not name.endswith("_ids")}
    return Network(name, "diffusers", make, inputs, batch)


def _dit() -> Inputs:
    return {
        "hidden_states": torch.randn(BATCH, 4, 8, 8),
        "timestep": torch.tensor([3, 7]),
        "class_labels": torch.tensor([1, 2]),
    }


def _pixart() -> Inputs:
    return {
        "hidden_states": torch.randn(BATCH, 4, 8, 8),
        "encoder_hidden_states": torch.randn(BATCH, 5, 24),
        "timestep": torch.tensor([3, 7]),
    }


def _sd3() -> Inputs:
    return {
        "hidden_states": torch.randn(BATCH, 4, 8, 8),
        "encoder_hidden_states": torch.randn(BATCH, 5, 24),
        "pooled_projections": torch.randn(BATCH, 20),
        "timestep": torch.tensor([3.0, 7.0]),
    }


def _flux() -> Inputs:
    return {
        "hidden_states": torch.randn(BATCH, 16, 4),
        "encoder_hidden_states": torch.randn(BATCH, 5, 32),
        "pooled_projections": torch.randn(BATCH, 20),
        "timestep": torch.tensor([0.3, 0.7]),
        "img_ids": torch.randn(16, 3).round(),
        "txt_ids": torch.zeros(5, 3),
    }


_HEADS = {"num_attention_heads": 2, "attention_head_dim": 16}
_SIZES = {"in_channels": 4, "out_channels": 8, "num_layers": 2, "sample_size": 8, "patch_size": 2}
_IMAGES = {**_HEADS, **_SIZES}

NETWORKS = [
    _of(
        "DiT",
        "DiTTransformer2DModel",
        _dit,
        **_IMAGES,
        norm_type="ada_norm_zero",
        num_embeds_ada_norm=10,
    ),
    _of(
        "PixArt",
        "PixArtTransformer2DModel",
        _pixart,
        **_IMAGES,
        cross_attention_dim=32,
        caption_channels=24,
        use_additional_conditions=False,
    ),
    _of(
        "SD3",
        "SD3Transformer2DModel",
        _sd3,
        **_HEADS,
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        joint_attention_dim=24,
        caption_projection_dim=32,
        pooled_projection_dim=20,
        out_channels=4,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
    ),
    _of(
        "Flux",
        "FluxTransformer2DModel",
        _flux,
        **_HEADS,
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=2,
        joint_attention_dim=32,
        pooled_projection_dim=20,
        axes_dims_rope=(4, 4, 8),
    ),
]
