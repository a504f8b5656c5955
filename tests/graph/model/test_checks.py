"""What the checker says of the original is noted where it is read; an old opset has a cure."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.odd_files.way import behind, network
from un_deploy.errors import InputError
from un_deploy.graph.model.checks import check_model
from un_deploy.graph.model.notes import notes_of

LINE = {"s": np.ones(5, np.float32)}


def checked(proto: onnx.ModelProto) -> tuple[str, ...]:
    model = ir.from_proto(proto)
    check_model(model, "m.onnx")
    return notes_of(model)


def test_of_a_usual_model_nothing_is_noted() -> None:
    assert checked(network()) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("y = LayerNormalization(z, s)", "No Op registered for LayerNormalization"),
        ("y = SimplifiedLayerNormalization(z, s)", "for SimplifiedLayerNormalization"),
        ("y = com.microsoft.SkipLayerNormalization(z, z, s)", "for domain 'com.microsoft'"),
        ("y = com.microsoft.FusedMatMul(z, w)", "No opset import for domain 'com.microsoft'"),
        ("y = org.nobody.Own(z)", "No opset import for domain 'org.nobody'"),
    ],
)
def test_operators_that_the_checker_does_not_know_are_read(text: str, said: str) -> None:
    constants = {**LINE, "w": np.eye(5, dtype=np.float32)}
    (note,) = checked(network(behind(text), opset=13, constants=constants))
    assert note.startswith("onnx's checker refuses it, and it was read all the same: ")
    assert said in note


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("y = Nonesuch(z)", "No Op registered for Nonesuch"),
        ("l = com.microsoft.Gelu(z) y = Relu(l, z)", "Relu"),
        ("y = Upsample(z, s)", "Upsample is deprecated"),
    ],
)
def test_what_no_runtime_reads_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"m\.onnx is not valid ONNX: .*{reason}"):
        checked(network(behind(text), opset=13, constants=LINE))


@pytest.mark.parametrize(
    "text", ["l = Add(z, gone) y = own.Own(l)", "y = Relu(z) gone_y = Relu(gone)"]
)
def test_what_nothing_makes_is_named(text: str) -> None:
    with pytest.raises(InputError, match="reads 'gone', which nothing in it makes: export it"):
        checked(network(behind(text)))


def test_an_output_that_nothing_makes_is_named() -> None:
    proto = network()
    proto.graph.output[0].name = "gone"
    with pytest.raises(InputError, match="reads 'gone', which nothing in it makes: export it"):
        checked(proto)


def old(opset: int, text: str) -> onnx.ModelProto:
    return network(f"(float[3,4] x) => (float[3,4] y) {{ {text} }}", opset=opset, ir_version=3)


@pytest.mark.parametrize("opset", [5, 6])
def test_the_cure_of_an_older_opset_was_tried(opset: int) -> None:
    proto = old(opset, "m = Mul<broadcast=1, axis=1>(x, a) y = Relu(m)")
    proto.graph.input.extend(
        onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims)
        for t in proto.graph.initializer
    )
    with pytest.raises(InputError, match=f"uses opset {opset}, older than 7: .*convert_version"):
        checked(proto)
    converted = onnx.version_converter.convert_version(proto, 7)
    assert checked(converted) == (
        "IR version 3 lists weights as inputs: it is written as 4, which does not",
    )


def test_a_cure_that_fails_is_not_named() -> None:
    with pytest.raises(InputError, match=r"export it again .* cannot convert it \(") as caught:
        checked(old(6, "y = com.microsoft.Gelu(x)"))
    assert "convert_version(" not in str(caught.value)


def test_a_cure_that_changes_what_is_computed_is_not_named() -> None:
    """The slope of opset 6 lies along the channels, and that of opset 7 along the last axis."""
    with pytest.raises(InputError, match=r"again with 7 or a newer one \(.* slopes of PRelu"):
        checked(old(6, "y = PRelu(x, a)"))


def test_without_any_opset_nobody_can_tell_what_is_meant() -> None:
    proto = network()
    del proto.opset_import[:]
    with pytest.raises(InputError, match="declares no opset, so that nobody can tell"):
        checked(proto)
