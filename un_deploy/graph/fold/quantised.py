"""What to do about norms that stay because the network was quantised before it was folded."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from un_deploy.graph.fold.report import SiteReport


def advice(model: ir.Model, sites: tuple[SiteReport, ...]) -> str:
    """A sentence where norms stay in a quantised network, told by its operators' names; else "".

    Between two operators stands a rounding with one scale, calibrated for what passes there: no
    scale per channel passes it, and nothing in the file brings the float weights back.
    """
    found = Counter(node.op_type for node in model.graph.all_nodes() if _quantises(node.op_type))
    if not found or not any(site.status == "stayed" and site.kind == "norm" for site in sites):
        return ""
    counts = ", ".join(f"{count} {kind}" for kind, count in found.most_common(3))
    return (
        f"the network is quantised ({counts}), and no scale passes the rounding between its "
        "operators: fold the float network, then quantise what comes out. The proof covers the "
        "fold; what the quantised network is worth has to be measured on data"
    )


def _quantises(operator: str) -> bool:
    """ONNX's, ONNX Runtime's and TensorRT's: QuantizeLinear, QGemm, MatMulInteger, MatMulNBits."""
    return (
        "quant" in operator.lower()
        or operator.endswith(("Integer", "NBits", "Bnb4"))
        or (operator[:1] == "Q" and operator[1:2].isupper())
    )
