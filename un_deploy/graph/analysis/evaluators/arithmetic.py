"""Add, Sub, Mul, Div, Sum, Neg, Abs and Sqrt, of floating-point numbers and of integers; Mod of
integers; Ceil and Floor; Equal; Relu, LeakyRelu and PRelu."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Compute,
    Inputs,
    Unknown,
    accumulates,
    check_size,
    is_integer,
    needed,
    of_one_type,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real


def _operands(inputs: Inputs) -> tuple[Array, Array]:
    a, b = needed(inputs, 0), needed(inputs, 1)
    of_one_type(a, b)
    check_size(np.broadcast_shapes(a.shape, b.shape), a.dtype)
    return a, b


def _of_two(function: Callable[[Array, Array], Array]) -> Compute:
    def compute(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
        a, b = _operands(inputs)
        require(is_real(a) or is_integer(a), f"numbers of {a.dtype}")
        return [np.asarray(function(a, b))]

    return compute


def _quotient(a: Array, b: Array) -> Array:
    """Integers are divided towards zero."""
    if is_real(a):
        return a / b
    require(np.all(b != 0), "it divides an integer by zero")
    if a.dtype.kind == "u":
        return a // b
    overflows = np.any((a == np.iinfo(a.dtype).min) & (b == -1))
    require(not overflows, "its quotient does not fit the type")
    return a // b + ((a % b != 0) & ((a < 0) != (b < 0)))


def _mod(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """The remainder has the sign of the divisor; with fmod, as C's, of the dividend."""
    a, b = _operands(inputs)
    require(is_integer(a), f"a remainder of {a.dtype}")
    require(np.all(b != 0), "it divides an integer by zero")
    remainder = np.fmod if node.attributes.get_int("fmod", 0) else np.mod
    return [np.asarray(remainder(a, b))]


def _neg(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x) or x.dtype.kind == "i", f"numbers of {x.dtype}")
    return [np.asarray(-x)]


def _sqrt(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"numbers of {x.dtype}")
    return [np.asarray(np.sqrt(x))]


def _abs(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"numbers of {x.dtype}")
    return [np.asarray(np.abs(x))]


def _sum(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    arrays = [needed(inputs, index) for index in range(len(inputs))]
    of_one_type(*arrays)
    require(is_real(arrays[0]), f"numbers of {arrays[0].dtype}")
    check_size(np.broadcast_shapes(*(a.shape for a in arrays)), arrays[0].dtype)
    return [np.asarray(sum(arrays[1:], arrays[0]))]


def _relu(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"numbers of {x.dtype}")
    return [np.asarray(np.maximum(x, np.zeros((), x.dtype)))]


def _leaky_relu(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"numbers of {x.dtype}")
    alpha = node.attributes.get_float("alpha", float(np.float32(0.01)))
    below = accumulates(x.dtype).type(alpha) * x.astype(accumulates(x.dtype), copy=False)
    return [np.asarray(np.where(x < 0, below.astype(x.dtype), x))]


def _prelu(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """The slope broadcasts to the tensor, and the tensor to nothing."""
    x, slope = needed(inputs), needed(inputs, 1)
    of_one_type(x, slope)
    require(is_real(x), f"numbers of {x.dtype}")
    require(np.broadcast_shapes(x.shape, slope.shape) == x.shape, "slopes that do not fit")
    return [np.asarray(np.where(x < 0, slope * x, x))]


def _whole(function: Callable[[Array], Array]) -> Compute:
    def compute(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
        x = needed(inputs)
        require(is_real(x), f"whole numbers of {x.dtype}")
        return [np.asarray(function(x))]

    return compute


def _of_rounded(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    raise Unknown("it compares numbers that are rounded")


def _equal(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    a, b = _operands(inputs)
    require(is_real(a) or is_integer(a) or a.dtype.kind == "b", f"a comparison of {a.dtype}")
    return [np.asarray(a == b)]


def _equal_exact(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    require(not is_real(needed(inputs)), "it compares numbers that are rounded")
    return _equal(node, inputs, opset)


EVALUATORS = {
    "Add": since(7, _of_two(np.add)),
    "Sub": since(7, _of_two(np.subtract)),
    "Mul": since(7, _of_two(np.multiply)),
    "Div": since(7, _of_two(_quotient)),
    "Mod": since(10, _mod, "fmod"),
    "Neg": since(6, _neg),
    "Sum": since(8, _sum),
    "Sqrt": since(6, _sqrt),
    "Abs": since(6, _abs),
    "Ceil": since(6, _whole(np.ceil), exact=_of_rounded),
    "Floor": since(6, _whole(np.floor), exact=_of_rounded),
    "Relu": since(6, _relu),
    "LeakyRelu": since(6, _leaky_relu, "alpha"),
    "PRelu": since(7, _prelu),
    "Equal": since(7, _equal, exact=_equal_exact),
}
