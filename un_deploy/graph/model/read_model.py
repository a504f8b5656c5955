"""Reads a model from a file, and leaves large weights in it until each is read into its own array.

Protobuf itself would hold all weights twice: in the bytes of the file, and in the message. Here
the message says of a large weight where it is in the file, as it does of one in another file.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]

THIS_FILE = "\0"
"""The location of a weight that is in the file of its model; no name of a file can be this."""

#: Smaller messages are read as a whole.
_LARGE = 1 << 20

#: The fields in which weights are found.
_ENTERED = {"graph", "functions", "node", "attribute", "g", "initializer", "t"}


class _Field(NamedTuple):
    """A field of a message: its number, and where in the file it, its content and its end are."""

    number: int
    start: int
    content: int
    end: int


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model whose large weights are external tensors in `THIS_FILE`.

    Raises:
        DecodeError: it is no ONNX file, or was cut off.
        OSError: it cannot be read.
    """
    model = onnx.ModelProto()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _read(model, data, 0, len(data))
    return model


def read_weight(tensor: ir.ExternalTensor, path: Path) -> ir.Tensor:
    """A tensor of `THIS_FILE`, in memory that goes back to the system with it, whatever its size.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has changed.
    """
    offset = tensor.offset or 0
    with path.open("rb") as file:
        if offset + tensor.nbytes > os.fstat(file.fileno()).st_size:
            raise ValueError(f"it ends within {tensor.name!r}")
        memory = mmap.mmap(-1, tensor.nbytes)
        file.seek(offset)
        file.readinto(memory)
    array = np.frombuffer(memory, tensor.dtype.numpy().newbyteorder("<"))
    return ir.Tensor(array.reshape(tensor.shape.numpy()), tensor.dtype, name=tensor.name)


def _read(message: Message, data: mmap.mmap, start: int, end: int) -> None:
    """Read what lies between two bytes into a message."""
    raw = []
    for field in _fields(data, start, end):
        known = message.DESCRIPTOR.fields_by_number.get(field.number)
        large = known is not None and field.end - field.content >= _LARGE
        if large and known.name in _ENTERED:
            inner = getattr(message, known.name)
            inner = inner.add() if hasattr(inner, "add") else inner
            _read(inner, data, field.content, field.end)
        elif large and known.name == "raw_data":
            raw.append(field)
        else:
            message.MergeFromString(data[field.start : field.end])
    for field in raw:  # after all that says what the bytes are
        if raw == [field] and _nbytes(message) == field.end - field.content:
            _refer(message, field)
        else:
            message.MergeFromString(data[field.start : field.end])


def _nbytes(tensor: onnx.TensorProto) -> int | None:
    """How many bytes its type and shape ask for; None where a byte holds several numbers."""
    if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.HasField("raw_data"):
        return None
    try:
        bits = ir.DataType(tensor.data_type).bitwidth
    except (TypeError, ValueError):  # strings, or a type that is not known
        return None
    return bits // 8 * prod(tensor.dims) if bits % 8 == 0 else None


def _refer(tensor: onnx.TensorProto, place: _Field) -> None:
    tensor.data_location = onnx.TensorProto.EXTERNAL
    where = {"location": THIS_FILE, "offset": place.content, "length": place.end - place.content}
    for key, value in where.items():
        tensor.external_data.add(key=key, value=str(value))


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    """The fields of the message that lies between two bytes."""
    while start < end:
        key, content = _varint(data, start)
        kind = key & 7
        if kind == 0:
            _, stop = _varint(data, content)
        elif kind == 2:
            length, content = _varint(data, content)
            stop = content + length
        elif kind in (1, 5):
            stop = content + (8 if kind == 1 else 4)
        else:
            raise DecodeError(f"no field begins at byte {start}")
        if stop > end:
            raise DecodeError(f"the field at byte {start} is cut off")
        yield _Field(key >> 3, start, content, stop)
        start = stop


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number = 0
    for place, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise DecodeError(f"the number at byte {at} has no end")
