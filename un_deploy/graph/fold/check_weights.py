"""What weights must be before anything is folded into them: numbers; refusals name the tensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError, one_line
from un_deploy.graph.fold.rules import operator_named

#: Entries looked at in one go; keeps the temporary arrays small.
_CHUNK = 1 << 22


def check_weights(model: ir.Model) -> None:
    """Check that every floating constant is a number, reading one tensor at a time.

    NaN is refused everywhere but in what a Where fills with. Infinity is meant where a constant
    fills or masks, so it is refused only in what a linear operator or a norm reads.

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
        readers = [operator_named(node.op_type) for node, _ in value.uses()]
        if nans and not (readers and all(reader.fills for reader in readers)):
            raise InputError(_broken(value, tensor, nans, "NaN"))
        if infinities and any(reader.weighs for reader in readers):
            raise InputError(_broken(value, tensor, infinities, "infinite"))


def _broken(value: ir.Value, tensor: ir.TensorProtocol, count: int, what: str) -> str:
    return (
        f"the weight {value.name!r} has {count} {what} of {tensor.size} entries, so what is "
        f"computed with it is no number: take another checkpoint, or export it again"
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
