"""Checks a model before the rewriter touches it; each refusal names the culprit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import CheckerPass

from un_deploy.errors import InputError, first_cause, one_line
from un_deploy.graph.model.tensor_storage import tensor_attributes

#: ONNX defines negative axes, which exporters write and the rules count from the end, from here on.
OLDEST_OPSET = 11

#: Tensors up to this many bytes are shown to the checker.
_LARGE = 1 << 20


def check_model(model: ir.Model, origin: str) -> None:
    """Check the model's structure; messages call it by its origin, such as its path.

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
    with _without_numbers(model):
        try:
            CheckerPass()(model)
        except (onnx.checker.ValidationError, ir.serde.SerdeError) as error:
            reason = one_line(first_cause(error))
            raise InputError(f"{origin} is not valid ONNX: {reason}") from error


@contextmanager
def _without_numbers(model: ir.Model) -> Iterator[None]:
    """Hide where external tensors lie, and what large ones hold, which the checker would copy.

    It would look for the external ones in the working directory. Of the main
    graph it gets larger ones than 1 kB as inputs, of nodes and bodies those that are large empty.
    """
    values = {v: v.const_value for graph in model.graphs() for v in graph.initializers.values()}
    attributes = list(tensor_attributes(model))
    for value, tensor in values.items():
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = _lazy(tensor)
        if tensor is not None and value.graph is not model.graph and _is_large(tensor):
            value.const_value = _empty(tensor)
    for node, attribute in attributes:
        if _is_large(tensor := attribute.as_tensor()):
            node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _empty(tensor))
    try:
        yield
    finally:
        for value, tensor in values.items():
            value.const_value = tensor
        for node, attribute in attributes:
            node.attributes[attribute.name] = attribute


def _lazy(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    return ir.LazyTensor(lambda: tensor, tensor.dtype, tensor.shape, name=tensor.name)


def _is_large(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype != ir.DataType.STRING and tensor.nbytes > _LARGE


def _empty(tensor: ir.TensorProtocol) -> ir.Tensor:
    return ir.Tensor(np.empty(0, tensor.dtype.numpy()), tensor.dtype, name=tensor.name)
