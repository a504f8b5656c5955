"""What a model must be before the rewriter touches it; each refusal names the culprit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import CheckerPass

from un_deploy.errors import InputError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

#: ONNX defines negative axes, which exporters write and the rules count from the end, from here on.
OLDEST_OPSET = 11

#: Operators whose constants are weights: an infinite entry there is a training run gone wrong,
#: while in a mask it is meant.
_WEIGHTED = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Mul", "Div"}
_WEIGHTED |= {"BatchNormalization", "LayerNormalization"}

#: Entries looked at in one go; keeps the temporary arrays small.
_CHUNK = 1 << 22


def check_model(model: ir.Model, origin: str) -> None:
    """Check the model's structure.

    Args:
        model: looked at only; weights are not read.
        origin: what the message calls the model, such as its path.

    Raises:
        InputError: an opset that the rewriter does not know, or whatever onnx.checker finds.
    """
    opset = model.opset_imports.get("")
    newest = onnx.defs.onnx_opset_version()
    if opset is None:
        raise InputError(
            f"{origin} declares no opset for the ONNX operators: the file was cut off or is "
            f"incomplete, so export it again"
        )
    if opset < OLDEST_OPSET:
        raise InputError(
            f"{origin} uses opset {opset}, older than {OLDEST_OPSET}: export it again with a newer "
            f"one, or convert it with onnx.version_converter"
        )
    if opset > newest:
        raise InputError(
            f"{origin} uses opset {opset}, but onnx {onnx.__version__} knows none above {newest}: "
            f"pip install --upgrade onnx"
        )
    with _external_as_lazy(model):
        try:
            CheckerPass()(model)
        except onnx.checker.ValidationError as error:
            raise InputError(f"{origin} is not valid ONNX: {one_line(error)}") from error


def check_weights(model: ir.Model) -> None:
    """Check that every floating constant is a number, reading one tensor at a time.

    NaN is refused everywhere. Infinity is meant where a constant fills or masks, so it is
    refused only in what a linear operator or a norm reads.

    Raises:
        InputError: names the tensor and how many of its entries are not finite, or a tensor
            whose bytes do not fit its shape.
    """
    for value, tensor in _constants(model):
        if not tensor.dtype.is_floating_point():
            continue
        try:
            nans, infinities = _count(tensor.numpy())
        except (ValueError, OSError) as error:
            raise InputError(
                f"the weight {value.name!r} cannot be read: {one_line(error)}"
            ) from error
        if nans:
            raise InputError(_broken(value, tensor, nans, "NaN"))
        if infinities and any(node.op_type in _WEIGHTED for node, _ in value.uses()):
            raise InputError(_broken(value, tensor, infinities, "infinite"))


@contextmanager
def _external_as_lazy(model: ir.Model) -> Iterator[None]:
    """Hide where external tensors lie: the checker would look for them in the working directory.

    It gets tensors up to 1 kB, and larger ones as graph inputs.
    """
    values = [v for graph in model.graphs() for v in graph.initializers.values()]
    held = {v: v.const_value for v in values if isinstance(v.const_value, ir.ExternalTensor)}
    for value, tensor in held.items():
        value.const_value = _lazy(tensor)
    try:
        yield
    finally:
        for value, tensor in held.items():
            value.const_value = tensor


def _lazy(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    return ir.LazyTensor(lambda: tensor, tensor.dtype, tensor.shape, name=tensor.name)


def _broken(value: ir.Value, tensor: ir.TensorProtocol, count: int, what: str) -> str:
    return (
        f"the weight {value.name!r} has {count} {what} of {tensor.size} entries: "
        f"training diverged or the file is damaged, so take another checkpoint"
    )


def _constants(model: ir.Model) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value, value.const_value
        for node in graph:
            if node.op_type == "Constant" and (attribute := node.attributes.get("value")):
                yield node.outputs[0], attribute.as_tensor()


def _count(array: np.ndarray) -> tuple[int, int]:
    """How many entries are NaN and how many infinite."""
    flat = array.reshape(-1)
    nans = infinities = 0
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        finite = int(np.count_nonzero(np.isfinite(chunk)))
        if finite < chunk.size:
            found = int(np.count_nonzero(np.isnan(chunk)))
            nans += found
            infinities += chunk.size - finite - found
    return nans, infinities
