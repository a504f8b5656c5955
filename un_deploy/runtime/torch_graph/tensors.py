"""ONNX tensors and element types as torch's."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from un_deploy.errors import InputError

_DTYPES = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.BFLOAT16: torch.bfloat16,
    ir.DataType.INT64: torch.int64,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.BOOL: torch.bool,
}
_BFLOAT16 = ir.DataType.BFLOAT16.numpy()


def torch_dtype(dtype: ir.DataType) -> torch.dtype:
    """The same element type in torch.

    Raises:
        InputError: torch computes with no such type.
    """
    if dtype not in _DTYPES:
        raise InputError(f"the element type {dtype.name} is not supported")
    return _DTYPES[dtype]


def to_tensor(tensor: ir.TensorProtocol) -> Tensor:
    """A copy on torch's default device.

    Raises:
        InputError: torch computes with no such type.
    """
    torch_dtype(tensor.dtype)
    return from_numpy(tensor.numpy())


def from_numpy(array: np.ndarray) -> Tensor:
    """A copy on torch's default device; bfloat16, which numpy itself lacks, by its bits."""
    if array.dtype == _BFLOAT16:
        return torch.tensor(np.array(array).view(np.int16)).view(torch.bfloat16)
    return torch.tensor(np.array(array))


def to_numpy(tensor: Tensor) -> np.ndarray:
    """The reverse of `from_numpy`, from any device."""
    tensor = tensor.detach().cpu()
    if tensor.dtype is torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(_BFLOAT16)
    return tensor.numpy()


def initializers(model: ir.Model) -> dict[str, Tensor]:
    """The main graph's initializers by name.

    Raises:
        InputError: one has no data, or is of a type that torch does not compute with.
    """
    tensors = {}
    for name, value in model.graph.initializers.items():
        if value.const_value is None:
            raise InputError(f"the initializer {name} has no data")
        try:
            tensors[name] = to_tensor(value.const_value)
        except InputError as error:
            raise InputError(f"initializer {name}: {error}") from error
    return tensors
