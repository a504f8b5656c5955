"""vit_micro whose linear layers behind norms have no bias: where a fold must add some."""

from __future__ import annotations

from torch import nn

from models.vit import NormLayer, VisionTransformer, vit_micro


def behind_norms(network: VisionTransformer) -> list[nn.Linear]:
    """The linear layers that read a norm's output."""
    blocks = [linear for block in network.blocks for linear in (block.attn.qkv, block.mlp.fc1)]
    return [*blocks, network.head]


def vit_bias_free(norm_layer: NormLayer) -> VisionTransformer:
    """vit_micro whose linear layers behind norms have no bias to take the shift into."""
    network = vit_micro(norm_layer)
    for linear in behind_norms(network):
        linear.bias = None
    return network
