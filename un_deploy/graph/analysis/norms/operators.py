"""The operators that are a norm which measures its input, of ONNX and of ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.graph.analysis.norms.norm import Kind


@dataclass(frozen=True)
class NormOperator:
    """What is known of one.

    Attributes:
        kind: what it is.
        scale, shift: which of its inputs hold them, one entry a channel; None: it has none, or
            nothing here can take them out of it.
        channels: the axis of the channels in its output.
    """

    kind: Kind
    scale: int | None = None
    shift: int | None = None
    channels: int = -1


#: All of them, by ONNX's name.
OPERATORS = {
    "LayerNormalization": NormOperator("LayerNormalization", 1, 2),
    "RMSNormalization": NormOperator("RMSNorm", 1),
    "GroupNormalization": NormOperator("GroupNorm", 1, 2, channels=1),
    "InstanceNormalization": NormOperator("InstanceNorm", 1, 2, channels=1),
    "LpNormalization": NormOperator("LpNormalization"),
    "MeanVarianceNormalization": NormOperator("MeanVarianceNormalization"),
    # What ONNX Runtime's optimiser writes; the first of them into the main domain.
    "SimplifiedLayerNormalization": NormOperator("RMSNorm", 1),
    "SkipLayerNormalization": NormOperator("LayerNormalization"),
    "SkipSimplifiedLayerNormalization": NormOperator("RMSNorm"),
    "EmbedLayerNormalization": NormOperator("LayerNormalization"),
    "GroupNorm": NormOperator("GroupNorm"),
    "SkipGroupNorm": NormOperator("GroupNorm"),
}


def norm_operator(node: ir.Node) -> NormOperator | None:
    """What is known of an operator that is a norm; None of any other."""
    return OPERATORS.get(node.op_type) if node.domain in ("", "com.microsoft") else None


def scale_and_shift(node: ir.Node) -> tuple[ir.Value | None, ir.Value | None]:
    """What a norm that is one operator reads as its scale and its shift."""
    operator = norm_operator(node)
    scale, shift = (None, None) if operator is None else (operator.scale, operator.shift)
    return _input(node, scale), _input(node, shift)


def _input(node: ir.Node, place: int | None) -> ir.Value | None:
    return None if place is None or place >= len(node.inputs) else node.inputs[place]
