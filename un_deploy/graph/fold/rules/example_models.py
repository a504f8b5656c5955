"""Builds the small models that rules give as examples, from ONNX's text form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx_ir as ir


def example(
    signature: str,
    body: str,
    weights: Mapping[str, Any],
    *,
    integers: Mapping[str, Any] | None = None,
    opset: int = 20,
    seed: int = 0,
) -> ir.Model:
    """A model from its text, with seeded random weights.

    Args:
        signature: ``(float[B,3,4] x) => (float[B,3,5] y)``.
        body: one operator after another, as the ONNX text form writes them; ``n = Norm(x)`` is a
            norm as UN exports it, with the scale ``a`` and the shift ``b``.
        weights: float32 initializers by name, of a shape or as they are. Random ones named ``a*``
            are scales in [0.5, 1.5].
        integers: int64 initializers by name.
    """
    body = re.sub(r"n = Norm\((\w+)\)", r"n_scaled = Mul(\1, a)  n = Add(n_scaled, b)", body)
    text = f'<ir_version: 9, opset_import: ["" : {opset}]> example {signature} {{ {body} }}'
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(seed)
    for name, given in weights.items():
        if isinstance(given, np.ndarray):
            drawn = given
        else:
            drawn = rng.uniform(0.5, 1.5, given) if name[0] == "a" else rng.standard_normal(given)
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.asarray(drawn, dtype=np.float32), name)
        )
    for name, entries in (integers or {}).items():
        array = np.array(entries, dtype=np.int64)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return ir.from_proto(model)
