"""Checks a model before the rewriter touches it; each refusal names the culprit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import CheckerPass

from un_deploy.errors import InputError, first_cause, one_line

#: ONNX defines negative axes, which exporters write and the rules count from the end, from here on.
OLDEST_OPSET = 11


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
    with _external_as_lazy(model):
        try:
            CheckerPass()(model)
        except (onnx.checker.ValidationError, ir.serde.SerdeError) as error:
            reason = one_line(first_cause(error))
            raise InputError(f"{origin} is not valid ONNX: {reason}") from error


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
