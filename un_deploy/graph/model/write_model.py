"""Writes a model to a file byte for byte as protobuf does, one weight at a time.

Protobuf itself would hold all weights twice more: in the message, and in its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import Message  # type: ignore[import-untyped]

from un_deploy.graph.model.message_forms import to_message

Weight = ir.Tensor | ir.LazyTensor

#: Smaller tensors are written with the message that holds them.
_LARGE = 1024


def write_model(model: ir.Model, file: BinaryIO) -> None:
    """Write a model; lazy tensors are computed when their turn has come.

    Raises:
        ValueError: a tensor holds another number of bytes than its type and shape say.
    """
    large = dict(_large(model.graph))
    with _emptied(model.graph, large):
        proto = to_message(model)
    parts: list[bytes | Weight] = []
    first, last = _around(proto.graph, "initializer")
    parts.append(first)
    for message in proto.graph.initializer:
        if message.name in large:
            tensor = large[message.name]
            before, after = _around(message, "raw_data")
            inside = [before, *_field(onnx.TensorProto, "raw_data", [tensor]), after]
        else:
            inside = [message.SerializeToString()]
        parts += _field(onnx.GraphProto, "initializer", inside)
    parts.append(last)
    first, last = _around(proto, "graph")
    for part in (first, *_field(onnx.ModelProto, "graph", parts), last):
        if isinstance(part, bytes):
            file.write(part)
            continue
        end = file.tell() + part.nbytes
        part.tofile(file)
        if file.tell() != end:
            raise ValueError(f"{part.name!r} does not hold the {part.nbytes} bytes of its shape")


def _large(graph: ir.Graph) -> Iterator[tuple[str, Weight]]:
    """The tensors that lie in the file as so many bytes."""
    for name, value in graph.initializers.items():
        tensor = value.const_value
        if not isinstance(tensor, Weight) or tensor.dtype == ir.DataType.STRING:
            continue
        if tensor.nbytes > _LARGE:
            yield name, tensor


@contextmanager
def _emptied(graph: ir.Graph, large: dict[str, Weight]) -> Iterator[None]:
    """Let these initializers hold no bytes."""
    for name, tensor in large.items():
        graph.initializers[name].const_value = ir.LazyTensor(
            lambda: ir.tensor(np.empty(0, np.uint8)),
            tensor.dtype,
            ir.Shape(tensor.shape.numpy()),
            doc_string=tensor.doc_string,
            metadata_props=dict(tensor.metadata_props),
        )
    try:
        yield
    finally:
        for name, tensor in large.items():
            tensor.name = name
            graph.initializers[name].const_value = tensor


def _around(message: Message, name: str) -> tuple[bytes, bytes]:
    """The bytes of a message before and behind one of its fields: they lie in order."""
    number = message.DESCRIPTOR.fields_by_name[name].number
    before, after = type(message)(), type(message)()
    before.CopyFrom(message)
    after.CopyFrom(message)
    for field, _ in message.ListFields():
        if field.number >= number:
            before.ClearField(field.name)
        if field.number <= number:
            after.ClearField(field.name)
    return before.SerializeToString(), after.SerializeToString()


def _field(kind: type[Message], name: str, content: list[bytes | Weight]) -> list[bytes | Weight]:
    """A field of bytes, or one that is a message: its number and kind, its length, its content."""
    length = sum(len(part) if isinstance(part, bytes) else part.nbytes for part in content)
    number = kind.DESCRIPTOR.fields_by_name[name].number
    return [_varint(number << 3 | 2) + _varint(length), *content]


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
