"""Which operators say that a network is quantised, what that hides, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import onnx_ir as ir


def quantised(model: ir.Model) -> dict[str, int]:
    """The operators that quantise, or compute on what is quantised: how many of each kind.

    Those in bodies of control flow too, the most frequent kind first; empty where nothing is
    quantised.
    """
    kinds = (node.op_type for node in model.graph.all_nodes() if _quantises(node.op_type))
    return dict(Counter(kinds).most_common())


def hides_norms(found: Iterable[str]) -> bool:
    """Whether a norm may be among operators of these kinds.

    It is where what passes between the operators is quantised: a norm's scale and shift may be a
    QLinearMul and a QLinearAdd. Where only weights are, it is in the open.
    """
    return not all(_holds_weights(kind) for kind in found)


def named(found: Mapping[str, int]) -> str:
    """The most frequent of them, as "2 QLinearMatMul, 1 QLinearAdd"."""
    return ", ".join(f"{count} {kind}" for kind, count in list(found.items())[:3])


def advice(found: Mapping[str, int]) -> str:
    """What is quantised, what follows, and what to do, in a sentence; empty where nothing is.

    Between two operators stands a rounding with one scale, calibrated for what passes there: no
    scale per channel passes it, and nothing in the file brings the float weights back.
    """
    if not found:
        return ""
    what = f"the weights are quantised ({named(found)}), and such weights take in no scale"
    if hides_norms(found):
        what = (
            f"the network is quantised ({named(found)}): norms may hide in its operators, and no "
            "scale passes the rounding between them"
        )
    return (
        f"{what}. Fold the float network, then quantise what comes out. The proof covers the fold; "
        "what the quantised network is worth has to be measured on data"
    )


def _quantises(operator: str) -> bool:
    """ONNX's, ONNX Runtime's and TensorRT's: QuantizeLinear, QGemm, MatMulInteger, MatMulNBits."""
    return (
        "quantize" in operator.lower()
        or operator.endswith(("Integer", "NBits", "Bnb4"))
        or (operator[:1] == "Q" and operator[1:2].isupper())
    )


def _holds_weights(operator: str) -> bool:
    return operator.endswith(("DequantizeLinear", "NBits", "Bnb4", "BlockQuantized"))
