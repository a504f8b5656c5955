"""Checks that what an ONNX file holds fits together, before anything is made of it.

Protobuf takes any bytes for a name, and any number for a type, a size or a length of a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx
import onnx_ir as ir
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]

from un_deploy.errors import InputError
from un_deploy.graph.model.read_model import THIS_FILE

_LISTS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")

#: In which list of numbers a type's entries may stand; 32 bits for all that are not named.
_LIST_OF = {
    "FLOAT": "float_data",
    "COMPLEX64": "float_data",
    "DOUBLE": "double_data",
    "COMPLEX128": "double_data",
    "INT64": "int64_data",
    "UINT32": "uint64_data",
    "UINT64": "uint64_data",
    "STRING": "string_data",
}

_VALUES = {
    onnx.AttributeProto.TENSOR: "t",
    onnx.AttributeProto.SPARSE_TENSOR: "sparse_tensor",
    onnx.AttributeProto.GRAPH: "g",
    onnx.AttributeProto.TYPE_PROTO: "tp",
}


def check_message(proto: onnx.ModelProto, origin: str) -> None:
    """Check names, attributes, types of inputs and outputs, and all that tensors say and hold.

    Raises:
        InputError: names the tensor, or shows what is no name.
    """
    for info in (*proto.graph.input, *proto.graph.output):
        if info.type.HasField("tensor_type") and not info.type.tensor_type.elem_type:
            raise InputError(
                f"{origin} is damaged: {info.name!r} has no element type; export or copy it again"
            )
    for message, in_function in _messages_of_model(proto):
        if isinstance(message, onnx.AttributeProto) and not _has_value(message, in_function):
            raise InputError(
                f"{origin} is damaged: the attribute {message.name!r} has no value of its type; "
                f"export or copy it again"
            )
        if isinstance(message, onnx.TensorProto) and (reason := _wrong_with(message)):
            raise InputError(
                f"{origin} is damaged: the tensor {message.name!r} {reason}; export or copy it "
                f"again"
            )
        for text in _texts(message):
            if isinstance(text, bytes):  # as protobuf gives what is not UTF-8
                raise InputError(
                    f"{origin} holds {text[:60]!r}, which is not UTF-8: export or copy it again"
                )


def _messages_of_model(proto: onnx.ModelProto) -> Iterator[tuple[Message, bool]]:
    """All messages, and whether they stand in a local function."""
    yield proto, False
    for field, value in proto.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for part in value if field.is_repeated else (value,):
                for message in _messages(part):
                    yield message, field.name == "functions"


def _messages(message: Message) -> Iterator[Message]:
    """A message and those in it; of a tensor, its entries about a weights file alone."""
    yield message
    if isinstance(message, onnx.TensorProto):  # its numbers would be copied to be looked at
        yield from message.external_data
        yield from message.metadata_props
        return
    for field, value in message.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                yield from _messages(inner)


def _texts(message: Message) -> Iterator[str | bytes]:
    if isinstance(message, onnx.TensorProto):
        yield from (message.name, message.doc_string)
        return
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            yield from value if field.is_repeated else (value,)


def _has_value(attribute: onnx.AttributeProto, in_function: bool) -> bool:
    """Whether a type is told, and what is no number, text or list is there.

    In a function the value may be that of the call.
    """
    if attribute.type == onnx.AttributeProto.UNDEFINED:
        return False
    if attribute.ref_attr_name:
        return in_function
    field = _VALUES.get(attribute.type)
    return field is None or attribute.HasField(field)


def _wrong_with(tensor: onnx.TensorProto) -> str:
    """What its type, its sizes and what it holds of numbers say against each other, or nothing."""
    try:
        kind = ir.DataType(tensor.data_type)
    except ValueError:
        return f"is of type {tensor.data_type}, which ONNX does not know"
    if kind == ir.DataType.UNDEFINED:
        return "has no type"
    if any(size < 0 for size in tensor.dims):
        return f"has the shape {list(tensor.dims)}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return "is of strings in a weights file" if kind == kind.STRING else _wrong_place(tensor)
    size = math.prod(tensor.dims)
    held = [name for name in _LISTS if len(getattr(tensor, name))]
    if tensor.HasField("raw_data"):
        length, needed = len(tensor.raw_data), -(-size * _bits(kind) // 8)
        if held or kind == ir.DataType.STRING:
            return "holds bytes beside what it holds" if held else "holds bytes, not strings"
        if length != needed:
            return f"of {kind.name} {list(tensor.dims)} holds {length} bytes, not {needed}"
        return ""
    right = _LIST_OF.get(kind.name, "int32_data")
    entries, needed = len(getattr(tensor, right)), _entries(kind, size)
    if held not in ([], [right]) or entries != needed:
        return f"of {kind.name} {list(tensor.dims)} holds {entries} entries, not {needed}"
    return ""


def _bits(kind: ir.DataType) -> int:
    return 0 if kind == ir.DataType.STRING else kind.bitwidth


def _entries(kind: ir.DataType, size: int) -> int:
    """How many numbers a list holds: complex ones are two, and small ones share one."""
    if kind in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        return 2 * size
    if _bits(kind) in (2, 4):
        return -(-size * _bits(kind) // 8)
    return size


def _wrong_place(tensor: onnx.TensorProto) -> str:
    """What is wrong with where it says that it lies; the file itself is looked at later."""
    place = {entry.key: entry.value for entry in tensor.external_data}
    location = str(place.get("location", ""))
    if location != THIS_FILE and (not location or "\0" in location):
        return "lies in a weights file without a name"
    for key in ("offset", "length"):
        text = place.get(key, "0")
        if not (isinstance(text, str) and text.isascii() and text.isdecimal()):
            return f"lies in a weights file at the {key} {text!r}"
    return ""
