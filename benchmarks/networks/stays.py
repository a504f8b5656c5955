"""The closed list of what may stay, with the reason of each; whatever else stays is a failure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Stays:
    """What may stay of some networks.

    Attributes:
        networks: their names, as a pattern.
        modules: the modules that it comes from, as a pattern.
        why: it cannot go.
    """

    networks: str
    modules: str
    why: str


_POSITIONS = (
    "a table of positions, which CumSum, Sin and Cos compute of a mask as the network runs, is "
    "added in several layers, of which each would need it in another scale"
)
_PADDED = "its scale folds; its shift stays, in front of a convolution that pads with zeros"
_ROTARY = "a rotary embedding behind it mixes channels of different scales"

STAYS = (
    Stays(
        "Whisper",
        "model.encoder.layer_norm",
        "it is a graph output, and a GELU starts the sum in front of it",
    ),
    Stays(
        "CLIP, vision",
        "post_layernorm",
        "it is a graph output, and so is what it reads",
    ),
    Stays(
        "T5",
        "encoder.final_layer_norm",
        "the weight of an RMSNorm that is a graph output",
    ),
    Stays("Qwen3", "model.layers.*.self_attn.?_norm", f"the weight of an RMSNorm: {_ROTARY}"),
    Stays("Flux", "*.norm_*", f"the weight of an RMSNorm: {_ROTARY}"),
    Stays(
        "SD3",
        "transformer_blocks.*.attn.norm_*",
        "the weight of an RMSNorm of queries or keys, which are multiplied with each other",
    ),
    Stays(
        "PixArt",
        "*norm*",
        "one linear operator makes the modulations of all blocks, and could take in one norm alone",
    ),
    Stays(
        "Mamba",
        "backbone.layers.*.mixer",
        "no norm: a parameter of the scan, in front of an exponential or beside the scan",
    ),
    Stays(
        "Wav2Vec2",
        "wav2vec2.encoder.pos_conv_embed.*",
        "no norm: the lengths of a convolution's weights, which TorchScript leaves to be computed",
    ),
    Stays("DETR", "model.encoder.layers.*.self_attn_layer_norm", _POSITIONS),
    Stays(
        "Mixer, timm",
        "blocks.*.norm1",
        "its scale passes the mixing of the tokens and meets a GELU; the mixing has the same "
        "weights for all channels, in what it reads as in what it adds to the stream, so neither a "
        "weight nor the stream can take it in",
    ),
    Stays("XCiT, timm", "blocks.*.norm3", _PADDED),
    Stays("XCiT, timm", "blocks.*.local_mp.bn", f"a BatchNormalization: {_PADDED}"),
    Stays(
        "XCiT, timm",
        "cls_attn_blocks.*",
        "its result is added to the patches that it reads, and to the class that it does not",
    ),
    Stays(
        "EfficientFormer, timm",
        "stages.*.ls1",
        "no norm: a layer scale of what a pool leaves of the stream, with nothing linear between",
    ),
    Stays("CrossViT, timm", "blocks.*projs.*", "a GELU reads it, and a sum stands in front of it"),
)


def why(network: str, module: str) -> str | None:
    """Why this may stay; None where it may not."""
    for one in STAYS:
        if fnmatchcase(network, one.networks) and fnmatchcase(module, one.modules):
            return one.why
    return None
