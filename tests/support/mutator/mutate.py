"""A file damaged at a place that its seed draws: bytes, fields, names, types, weights files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]

from tests.support.mutator.files import MODEL, WEIGHTS, Files

Draw = np.random.Generator

#: What stands beside every damaged model, for its weights to lie there: `judge` puts them there.
PLACES = (
    "", ".", "..", "/", "../secret", "link", "hard", "fifo", "folder", "/dev/zero", "/dev/stdin",
    "/etc/passwd", "missing", "sub/../weights", "a\0b", "x" * 300, MODEL, "~/secret", "dangling",
)  # fmt: skip

_INTEGERS = (0, 1, -1, 2, 7, 127, 255, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))
_WORDS = ("", "x", "y", "\0", "é", "n" * 3000, "a b\nc", "%s{}", "-1", "1e9", "nan")
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))


def mutated(files: Files, kind: str, seed: int) -> Files:
    """What lies in the model's folder, damaged in one way; the same seed gives the same damage."""
    draw = np.random.default_rng([seed, list(KINDS).index(kind)])
    return {**files, **KINDS[kind](files, draw)}


def _bytes(files: Files, draw: Draw) -> Files:
    """One to eight bytes of one of the files are others."""
    name = _drawn(list(files), draw)
    data = bytearray(files[name])
    for _ in range(draw.integers(1, 9)):
        data[draw.integers(len(data))] = draw.integers(256)
    return {name: bytes(data)}


def _bits(files: Files, draw: Draw) -> Files:
    """A single bit of the model file is the other one."""
    data = bytearray(files[MODEL])
    data[draw.integers(len(data))] ^= 1 << int(draw.integers(8))
    return {MODEL: bytes(data)}


def _truncated(files: Files, draw: Draw) -> Files:
    """One of the files ends early."""
    name = _drawn(list(files), draw)
    return {name: files[name][: draw.integers(len(files[name]))]}


def _moved(files: Files, draw: Draw) -> Files:
    """A piece of the model file is missing, or stands there twice."""
    data = files[MODEL]
    start, length = int(draw.integers(len(data))), int(draw.integers(1, 200))
    piece = data[start : start + length] * int(draw.choice([0, 2]))
    return {MODEL: data[:start] + piece + data[start + length :]}


def _field(files: Files, draw: Draw) -> Files:
    """One to three fields, of any message, hold something else or are gone."""
    model = onnx.ModelProto.FromString(files[MODEL])
    for _ in range(draw.integers(1, 4)):
        message = _drawn(list(_messages(model)), draw)
        _change(message, _drawn(list(message.DESCRIPTOR.fields), draw), draw)
    return {MODEL: model.SerializeToString()}


def _set_field(files: Files, draw: Draw) -> Files:
    """As `_field`, of fields that are set: a message has many that are not."""
    model = onnx.ModelProto.FromString(files[MODEL])
    for _ in range(draw.integers(1, 3)):
        message = _drawn([m for m in _messages(model) if m.ListFields()], draw)
        _change(message, _drawn([f for f, _ in message.ListFields()], draw), draw)
    return {MODEL: model.SerializeToString()}


def _not_utf8(files: Files, draw: Draw) -> Files:
    """A name is not UTF-8, in one place or wherever it stands."""
    model = onnx.ModelProto.FromString(files[MODEL])
    texts = [value.encode() for m in _messages(model) for value in _texts(m)]
    text = _drawn(sorted({text for text in texts if text}), draw)
    wrong = bytes([draw.choice([0xE9, 0x80, 0xFF, 0xC0])]) + text[1:]
    start = files[MODEL].index(text)
    if draw.integers(2):
        return {MODEL: files[MODEL].replace(text, wrong)}
    return {MODEL: files[MODEL][:start] + wrong + files[MODEL][start + len(text) :]}


def _types(files: Files, draw: Draw) -> Files:
    """An element type, an attribute's type or a number of an opset is another or unknown."""
    model = onnx.ModelProto.FromString(files[MODEL])
    names = ("data_type", "elem_type", "type", "version", "ir_version", "data_location", "op_type")
    chosen = [
        (message, field)
        for message in _messages(model)
        for field in message.DESCRIPTOR.fields
        if field.name in names and not _is_message(field)
    ]
    message, field = _drawn(chosen, draw)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        setattr(message, field.name, _drawn(["", "Mull", "Loop", "MatMul", "é"], draw))
    elif field.enum_type is not None:
        setattr(message, field.name, int(_drawn(field.enum_type.values, draw).number))
    else:
        setattr(message, field.name, int(draw.choice([-1, 0, 99, 2**31 - 1, *range(1, 30)])))
    return {MODEL: model.SerializeToString()}


def _sizes(files: Files, draw: Draw) -> Files:
    """A tensor's or an input's size is another, or its bytes are more or fewer."""
    model = onnx.ModelProto.FromString(files[MODEL])
    tensors = [m for m in _messages(model) if isinstance(m, onnx.TensorProto)]
    dims = [m for m in _messages(model) if isinstance(m, onnx.TensorShapeProto.Dimension)]
    tensor = _drawn(tensors, draw)
    what = draw.integers(4)
    if what == 0 and tensor.dims:
        tensor.dims[draw.integers(len(tensor.dims))] = _drawn(_INTEGERS, draw)
    elif what == 1:
        tensor.dims.append(_drawn(_INTEGERS, draw))
    elif what == 2 and tensor.raw_data:
        tensor.raw_data = tensor.raw_data[: draw.integers(len(tensor.raw_data))]
    else:
        _drawn(dims, draw).dim_value = _drawn(_INTEGERS, draw)
    return {MODEL: model.SerializeToString()}


def _external(files: Files, draw: Draw) -> Files:
    """A tensor lies at a hostile place, at an impossible offset, or with another length."""
    model = onnx.ModelProto.FromString(files[MODEL])
    tensor = _drawn([m for m in _messages(model) if isinstance(m, onnx.TensorProto)], draw)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    held = {one.key: one.value for one in tensor.external_data}
    if not held or draw.integers(4):
        for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data"):
            tensor.ClearField(field)
    numbers = (
        "0",
        "-1",
        "1",
        "4096",
        str(2**31),
        str(2**64),
        "x",
        "",
        "1.5",
        " 3",
        "0x10",
        "\u0661",
    )
    for key in draw.permutation(["location", "offset", "length"])[: draw.integers(1, 4)]:
        held[str(key)] = _drawn(PLACES if key == "location" else numbers, draw)
    held.setdefault("location", WEIGHTS)
    if not draw.integers(8):
        held.pop(_drawn(sorted(held), draw))
    del tensor.external_data[:]
    for key, value in held.items():
        tensor.external_data.add(key=key, value=value)
    return {MODEL: model.SerializeToString()}


KINDS: Mapping[str, Callable[[Files, Draw], Files]] = {
    "bytes": _bytes,
    "bits": _bits,
    "truncated": _truncated,
    "moved": _moved,
    "field": _field,
    "set field": _set_field,
    "not UTF-8": _not_utf8,
    "types": _types,
    "sizes": _sizes,
    "external": _external,
}


def _messages(message: Message) -> Iterator[Message]:
    """A message and all those in it."""
    yield message
    for field, value in message.ListFields():
        if _is_message(field):
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def _texts(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            yield from value if field.is_repeated else [value]


def _is_message(field: FieldDescriptor) -> bool:
    return bool(field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE)


def _change(message: Message, field: FieldDescriptor, draw: Draw) -> None:
    """Give one field of a message something else, or take it away."""
    what = draw.integers(4)
    if what == 0:
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_list(getattr(message, field.name), field, int(what), draw)
    elif _is_message(field):
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(field, draw))


def _change_list(values: Any, field: FieldDescriptor, what: int, draw: Draw) -> None:
    if what == 1 and len(values):
        del values[draw.integers(len(values))]
    elif _is_message(field):
        if len(values) and draw.integers(2):
            values.add().CopyFrom(values[draw.integers(len(values))])
        else:
            values.add()
    elif what == 2 and len(values):
        values[draw.integers(len(values))] = _value(field, draw)
    else:
        values.append(_value(field, draw))


def _value(field: FieldDescriptor, draw: Draw) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw.bytes(draw.integers(20))
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _drawn(_WORDS, draw)
    if field.enum_type is not None:
        return _drawn(field.enum_type.values, draw).number
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _drawn(_FLOATS, draw)
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT32:
        return _drawn([n for n in _INTEGERS if -(2**31) <= n < 2**31], draw)
    if field.cpp_type == FieldDescriptor.CPPTYPE_UINT64:
        return abs(_drawn(_INTEGERS, draw))
    return _drawn(_INTEGERS, draw)


def _drawn(choices: Any, draw: Draw) -> Any:
    return choices[int(draw.integers(len(choices)))]
