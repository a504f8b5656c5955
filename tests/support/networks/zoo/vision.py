"""Networks that look at images, of transformers."""

from __future__ import annotations

from functools import partial

from tests.support.networks.zoo.network import SMALL, image, of_transformers

_32 = {**SMALL, "image_size": 32, "patch_size": 8}
_WINDOWS = {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2]}
_RESNET = {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 12, 16, 24],
           "depths": [1, 1, 1, 1], "layer_type": "basic", "out_features": ["stage4"]}  # fmt: skip

_of = partial(of_transformers, inputs=image(32))

NETWORKS = [
    _of("ViT", "ViT", "ForImageClassification", **_32),
    _of("DeiT", "DeiT", "ForImageClassificationWithTeacher", **_32),
    _of(
        "BEiT",
        "Beit",
        "ForImageClassification",
        **_32,
        use_relative_position_bias=True,
        use_mean_pooling=True,
    ),
    _of("DINOv2", "Dinov2", "ForImageClassification", **_32),
    _of("Swin", "Swin", "ForImageClassification", **_WINDOWS, num_heads=[2, 4], window_size=4),
    _of("Swin v2", "Swinv2", "ForImageClassification", **_WINDOWS, num_heads=[2, 4], window_size=4),
    _of(
        "ConvNeXt",
        "ConvNext",
        "ForImageClassification",
        num_stages=3,
        hidden_sizes=[16, 24, 32],
        depths=[1, 2, 1],
        patch_size=2,
    ),
    of_transformers(
        "Segformer",
        "Segformer",
        "ForSemanticSegmentation",
        image(64),
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 16, 32, 32],
        num_attention_heads=[1, 2, 2, 4],
        decoder_hidden_size=32,
        num_labels=5,
    ),
    _of("CLIP, vision", "CLIPVision", "Model", **_32),
    _of("SigLIP", "SiglipVision", "Model", **_32),
    of_transformers(
        "DETR",
        "Detr",
        "ForObjectDetection",
        image(64),
        num_queries=5,
        encoder_layers=2,
        encoder_ffn_dim=48,
        encoder_attention_heads=4,
        decoder_layers=2,
        decoder_ffn_dim=48,
        decoder_attention_heads=4,
        d_model=32,
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone=None,
        backbone_config=_RESNET,
    ),
    _of(
        "YOLOS",
        "Yolos",
        "ForObjectDetection",
        **{**_32, "image_size": [32, 32]},
        num_detection_tokens=5,
        initializer_range=0.2,
    ),
    of_transformers(
        "MobileViT",
        "MobileViT",
        "ForImageClassification",
        image(64),
        image_size=64,
        hidden_sizes=[24, 32, 40],
        neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
        num_attention_heads=4,
    ),
]
