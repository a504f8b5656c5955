"""BatchNormalization at inference, and the Scaler of scikit-learn's pipelines."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    accumulates,
    needed,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real

#: BatchNormalization's default epsilon: attributes are float32, and so is what runtimes read.
EPSILON = float(np.float32(1e-5))


def _batch_normalization(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """Up to opset 13 nothing but its further outputs tells that it is in training."""
    x, *given = (needed(inputs, index) for index in range(5))
    attributes = node.attributes
    require(attributes.get_int("training_mode", 0) == 0, "it is in training")
    require(not any(value.name for value in node.outputs[1:]), "it is in training")
    require(attributes.get_int("spatial", 1) == 1, "its parameters differ from pixel to pixel")
    require(x.ndim >= 2 and all(map(is_real, (x, *given))), f"a tensor of {x.dtype}")
    require(all(array.shape == x.shape[1:2] for array in given), "parameters of another size")
    wide = accumulates(x.dtype)
    scale, bias, mean, variance = (
        array.astype(wide, copy=False).reshape(-1, *[1] * (x.ndim - 2)) for array in given
    )
    deviation = np.sqrt(variance + wide.type(attributes.get_float("epsilon", EPSILON)))
    y = scale * ((x.astype(wide, copy=False) - mean) / deviation) + bias
    return [y.astype(x.dtype, copy=False)]


def _scaler(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """(x - offset) * scale, of a row or rows; one number, or one for each feature."""
    x = needed(inputs)
    given = [np.array(node.attributes.get_floats(name, ()), np.float32) for name in SCALER]
    require(x.ndim in (1, 2) and x.dtype in (np.float32, np.float64), f"a tensor of {x.dtype}")
    require(all(a.shape in ((1,), x.shape[-1:]) for a in given), "parameters of another size")
    offset, scale = (array.astype(x.dtype) for array in given)
    return [(x - offset) * scale]


def _scaler_in_float32(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """Its result is float32, whatever it reads."""
    require(needed(inputs).dtype == np.float32, "it reads no float32")
    return _scaler(node, inputs, opset)


#: The attributes of a Scaler.
SCALER = ("offset", "scale")

EVALUATORS = {
    "ai.onnx.ml.Scaler": since(1, _scaler_in_float32, "offset scale", _scaler),
    "BatchNormalization": since(7, _batch_normalization, "epsilon momentum training_mode spatial"),
}
