"""What protobuf takes and ONNX does not mean is refused when it is read, by name, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.graphs import NORM, build
from un_deploy.errors import InputError
from un_deploy.graph.model.check_message import check_message
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.model.model_kinds import to_ir


@pytest.fixture
def proto() -> onnx.ModelProto:
    import onnx_ir as ir

    text = f"{NORM} z = MatMul(n, w) k = Constant<value = float[2] {{1, 2}}>() y = Softmax(z)"
    model = build("float[B,6] x => float[B,4] y", text, a=(6,), b=(6,), w=(6, 4))
    return ir.to_proto(model)


def with_name(model: onnx.ModelProto, old: bytes, new: bytes) -> onnx.ModelProto:
    data = model.SerializeToString()
    assert data.count(old) >= 1
    return onnx.ModelProto.FromString(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Mul_0", b"Mul\xe9\x30"),  # the name of a node
        (b"Softmax", b"Softma\xff"),  # a type of operator
        (b"\x0a\x01x", b"\x0a\x01\xe9"),  # a tensor, wherever it is named
        (b"value", b"valu\x80"),  # an attribute
        (b"test", b"t\xc0st"),  # the graph
    ],
)
def test_a_name_that_is_not_utf_8(
    proto: onnx.ModelProto, tmp_path: Path, old: bytes, new: bytes
) -> None:
    damaged = with_name(proto, old, new)
    with pytest.raises(InputError, match=r"the ModelProto holds b'.*', which is not UTF-8"):
        to_ir(damaged)
    (tmp_path / "m.onnx").write_bytes(damaged.SerializeToString())
    with pytest.raises(InputError, match=r"m\.onnx holds b'.*', which is not UTF-8: export or"):
        load_model(tmp_path / "m.onnx")


def weight(proto: onnx.ModelProto) -> TensorProto:
    return next(tensor for tensor in proto.graph.initializer if tensor.name == "w")


def set_type(number: int) -> Callable[[TensorProto], None]:
    return lambda tensor: setattr(tensor, "data_type", number)


def set_sizes(*sizes: int) -> Callable[[TensorProto], None]:
    def change(tensor: TensorProto) -> None:
        tensor.dims[:] = sizes

    return change


def outside(**place: str) -> Callable[[TensorProto], None]:
    def change(tensor: TensorProto) -> None:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=value)

    return change


def strings_outside(tensor: TensorProto) -> None:
    outside(location="w")(tensor)
    tensor.data_type = TensorProto.STRING


def no_numbers(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")


def short(tensor: TensorProto) -> None:
    tensor.raw_data = tensor.raw_data[:-1]


def in_two_forms(tensor: TensorProto) -> None:
    tensor.float_data.append(1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (set_type(0), "has no type"),
        (set_type(99), "is of type 99, which ONNX does not know"),
        (set_type(TensorProto.DOUBLE), r"of DOUBLE \[6, 4\] holds 96 bytes, not 192"),
        (set_type(TensorProto.STRING), "holds bytes, not strings"),
        (set_sizes(6, -4), r"has the shape \[6, -4\]"),
        (set_sizes(6, 1 << 62), r"holds 96 bytes, not 110680464442257309696"),
        (set_sizes(6, 0), "holds 96 bytes, not 0"),
        (short, "holds 95 bytes, not 96"),
        (no_numbers, r"of FLOAT \[6, 4\] holds 0 entries, not 24"),
        (in_two_forms, "holds bytes beside what it holds"),
        (strings_outside, "is of strings in a weights file"),
        (outside(), "lies in a weights file without a name"),
        (outside(location="a\0b"), "lies in a weights file without a name"),
        (outside(location="w", offset="-1"), "lies in a weights file at the offset '-1'"),
        (outside(location="w", length="1e3"), "lies in a weights file at the length '1e3'"),
        (outside(location="w", offset="\u0661"), "lies in a weights file at the offset"),
    ],
)
@pytest.mark.parametrize("where", ["weight", "constant"])
def test_a_tensor_that_does_not_fit_together(
    proto: onnx.ModelProto, where: str, change: Callable[[TensorProto], None], reason: str
) -> None:
    tensor = weight(proto)
    if where == "constant":
        constant = next(node for node in proto.graph.node if node.op_type == "Constant")
        constant.attribute[0].t.CopyFrom(tensor)
        tensor = constant.attribute[0].t
    change(tensor)
    with pytest.raises(InputError, match=f"m is damaged: the tensor 'w' .*{reason}"):
        check_message(proto, "m")


TYPES = sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING})


@pytest.mark.parametrize("kind", TYPES, ids=TensorProto.DataType.Name)
@pytest.mark.parametrize("size", [(), (0,), (1,), (3, 5)])
def test_every_type_fits_in_the_form_that_onnx_writes(
    proto: onnx.ModelProto, kind: int, size: tuple[int, ...]
) -> None:
    """As numbers in a list and as bytes; and one entry more fits in neither."""
    count = int(np.prod(size))
    numbers = helper.make_tensor("t", kind, size, [1] * count)
    assert not numbers.HasField("raw_data")
    array = numpy_helper.to_array(numbers)
    for tensor in (numbers, numpy_helper.from_array(array, "t")):
        del proto.graph.initializer[3:]
        proto.graph.initializer.append(tensor)
        check_message(proto, "m")
        proto.graph.initializer[3].dims.append(9)
        if count:
            with pytest.raises(InputError, match="the tensor 't' of"):
                check_message(proto, "m")


def attribute(proto: onnx.ModelProto) -> onnx.AttributeProto:
    return next(node for node in proto.graph.node if node.op_type == "Softmax").attribute.add()


@pytest.mark.parametrize(
    "settings",
    [
        {"type": onnx.AttributeProto.UNDEFINED, "i": 1},
        {"type": onnx.AttributeProto.TENSOR, "i": 1},
        {"type": onnx.AttributeProto.GRAPH},
        {"type": onnx.AttributeProto.INT, "ref_attr_name": "of_the_call"},
    ],
)
def test_an_attribute_without_a_value_of_its_type(
    proto: onnx.ModelProto, settings: dict[str, object]
) -> None:
    given = attribute(proto)
    given.CopyFrom(onnx.AttributeProto(name="axis", **settings))
    with pytest.raises(InputError, match="m is damaged: the attribute 'axis' has no value"):
        check_message(proto, "m")


def test_an_attribute_of_the_call_is_one_in_a_function(proto: onnx.ModelProto) -> None:
    node = helper.make_node("Softmax", ["x"], ["y"])
    node.attribute.add(name="axis", type=onnx.AttributeProto.INT, ref_attr_name="axis")
    function = helper.make_function("own", "F", ["x"], ["y"], [node], [], ["axis"])
    proto.functions.append(function)
    check_message(proto, "m")


@pytest.mark.parametrize("end", ["input", "output"])
def test_an_input_or_output_without_an_element_type(proto: onnx.ModelProto, end: str) -> None:
    (info,) = getattr(proto.graph, end)
    info.type.tensor_type.elem_type = 0
    with pytest.raises(InputError, match=f"m is damaged: '{info.name}' has no element type"):
        check_message(proto, "m")
