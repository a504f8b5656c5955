"""What a builder tells of its layers, read; the lines are TensorRT-RTX 1.7's own."""

from __future__ import annotations

import pytest

from un_deploy.engines.kernels.kernels import (
    bytes_written,
    parse_kernels,
    parse_readable_kernels,
    signatures,
)
from un_deploy.errors import InputError

LAYERS = """Layers:
Name: __myl_FcAdd_myl0_3, LayerType: runtime_fusion, Inputs: [ { Name: add.1_myl0, Dimensions: \
[100,64], Strides: [64,1], StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear \
format }], Constants: [ { Name: __mye23782_reshape_myl0, Dimensions: [1,192], Strides: [192,1], \
StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row major linear format }, { Name: \
__mye23579_dconst_myl0, Dimensions: [64,192], Strides: [192,1], StrideOrder: [1,0], Datatype: \
Half, Format: (Linear) Row major linear format }], Outputs: [ { Name: __myln_k_arg__bb1_6_myl0, \
Dimensions: [100,192], Strides: [192,1], StrideOrder: [1,0], Datatype: Half, Format: (Linear) Row \
major linear format }], TacticName: , StreamId: 0, Metadata: [ONNX Layer: node_MatMul_12][ONNX \
Layer: node_linear]
Name: node_MatMul_61_myl0_5, LayerType: gemm, Inputs: [ { Name: val_23.1_myl0, Dimensions: \
[-1,50,32], Strides: [1600,32,1], StrideOrder: [2,1,0], Datatype: Float, Format: (Arbitrary) \
Format with stride order = [0,2,1] }], Constants: [], Outputs: [ { Name: scores, Dimensions: \
[-1,50,50], Strides: [2500,50,1], StrideOrder: [2,1,0], Datatype: Float, Format: (Linear) Row \
major linear format }], TacticName: __myelin_CASK_STUB, StreamId: 0, Metadata: [ONNX \
Layer: node_MatMul_61]
Name: __mye7155_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], \
TacticName: , StreamId: 0, Metadata: \

I/O Tensors:
 Name: logits, IOMode: Output, DataType: Float, Dimensions: [2,10], Location: Device
"""


def test_a_kernel_is_a_line_with_a_layer_type() -> None:
    fused, product, shape = parse_kernels(LAYERS)
    assert (fused.layer_type, fused.fused, fused.tactic) == ("runtime_fusion", "FcAdd", "")
    assert [(t.dims, t.type) for t in fused.constants] == [((1, 192), "Half"), ((64, 192), "Half")]
    assert fused.onnx_nodes == ("node_MatMul_12", "node_linear")
    assert (product.layer_type, product.fused) == ("gemm", "")
    assert product.tactic == "__myelin_CASK_STUB"
    assert shape.outputs == ()
    assert [kernel.multiplies for kernel in (fused, product, shape)] == [True, True, False]


def test_bytes_written_are_unknown_where_a_size_is_open() -> None:
    fused, product, shape = parse_kernels(LAYERS)
    assert bytes_written([fused, shape]) == 100 * 192 * 2
    assert bytes_written([fused, product]) is None


def test_bytes_of_a_type_without_any_are_unknown() -> None:
    fused, *_ = parse_kernels(LAYERS.replace("Datatype: Half", "Datatype: Int4"))
    assert fused.outputs[0].type == "Int4"
    assert bytes_written([fused]) is None


def test_the_jump_of_a_loop_is_a_kernel() -> None:
    jump = LAYERS.replace("StreamId: 0, M", "StreamId: 0, JumpTargetThen: a, JumpTargetElse: b, M")
    assert signatures(parse_kernels(jump)) == signatures(parse_kernels(LAYERS))
    assert parse_kernels(jump)[0].onnx_nodes == ("node_MatMul_12", "node_linear")


def test_streams_that_wait_for_each_other_are_no_kernels() -> None:
    event = "Name: __mye27{}_myl0_{}, LayerType: {}, Inputs: [], Constants: [], Outputs: [], "
    event += "TacticName: , StreamId: 1, EventId: 2, Metadata: \n"
    told = LAYERS.replace(
        "\nName: node_M",
        f"\n{event.format(64, 1, 'signal')}{event.format(66, 2, 'wait')}Name: node_M",
    )
    assert parse_kernels(told) == parse_kernels(LAYERS)
    on_another = LAYERS.replace("StreamId: 0, M", "StreamId: 3, EventId: 7, M")
    assert signatures(parse_kernels(on_another)) == signatures(parse_kernels(LAYERS))


OWN_LAYER = """Name: h[size][DevicetoShapeHostCopy], LayerType: DeviceToShapeHost, Inputs: [ { \
Name: h[size], Location: Device, Dimensions: [3], Datatype: Int64, Format: Format not available \
due to dynamic shapes }], Outputs: [], TacticValue: 0x0000000000000000, StreamId: 0, Metadata: """


def test_a_layer_of_the_runtime_itself_may_tell_less_unless_it_multiplies() -> None:
    (layer,) = parse_kernels(OWN_LAYER)
    assert (layer.layer_type, layer.multiplies) == ("DeviceToShapeHost", False)
    with pytest.raises(InputError, match="in a form that is not known"):
        parse_kernels(OWN_LAYER.replace("DeviceToShapeHost", "gemm"))


@pytest.mark.parametrize(
    ("metadata", "nodes"),
    [
        ("[ONNX Layer: a | t (then_branch) | b (If)]", ("a | t (then_branch) | b (If)",)),
        ("[ONNX Layer: a[0]/b][ONNX Layer: c, d]", ("a[0]/b", "c, d")),
        ("", ("node_MatMul_61",)),  # its own name
    ],
)
def test_names_of_nodes(metadata: str, nodes: tuple[str, ...]) -> None:
    told = LAYERS.replace(
        "[ONNX \
Layer: node_MatMul_61]",
        metadata,
    )
    assert parse_kernels(told)[1].onnx_nodes == nodes


@pytest.mark.parametrize(
    ("name", "scale", "nodes"),
    [
        (
            "$$myelin$$(Unnamed IfConditional* 0)^$$myelin$$then^node_of_ty_myl0_5",
            "",
            ("node_of_ty",),
        ),
        ("__mye20_unroll0+$$myelin$$(Unnamed Loop* 0)^q+k_myl0_2", "", ("q", "k")),
        ("__mye20_unroll0_myl0_2", "__mye16$$myelin$$(Unnamed Loop* 0)^q_alpha_myl0", ("q",)),
        ("__mye20_unroll0_myl0_2", "__mye16(Unnamed Layer* 46) [Matrix Multiply]_beta_myl0", ()),
    ],
)
def test_a_kernel_without_metadata_may_name_nodes_elsewhere(
    name: str, scale: str, nodes: tuple[str, ...]
) -> None:
    tensor = f"{{ Name: {scale}, Dimensions: [1], Datatype: Float, Format: (Linear) }}"
    told = LAYERS.replace("[ONNX Layer: node_MatMul_61]", "").replace("node_MatMul_61_myl0_5", name)
    told = told.replace("Constants: []", f"Constants: [ {tensor}]" if scale else "Constants: []", 1)
    assert parse_kernels(told)[1].onnx_nodes == nodes


def test_names_of_tensors_and_nodes_are_not_in_a_signature() -> None:
    renamed = LAYERS.replace("__myln_k_arg__bb1_6_myl0", "other").replace("node_linear", "n")
    assert signatures(parse_kernels(renamed)) == signatures(parse_kernels(LAYERS))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FcAdd_", "FcAddAdd_"),  # what it fuses
        ("Dimensions: [100,192]", "Dimensions: [100,193]"),  # what it writes
        ("LayerType: gemm", "LayerType: kgen"),
        ("__myelin_CASK_STUB", "another"),
        ("[ { Name: __mye23782_reshape_myl0", "[ { Name: more, Dimensions: [1], Strides: [1], "
         "StrideOrder: [0], Datatype: Half, Format: (Linear) }, { Name: __mye23782_reshape_myl0"),
    ],
)  # fmt: skip
def test_everything_else_is(old: str, new: str) -> None:
    assert old in LAYERS
    changed = parse_kernels(LAYERS.replace(old, new, 1))
    assert signatures(changed) != signatures(parse_kernels(LAYERS))


@pytest.mark.parametrize(
    ("old", "new"), [(", Constants: []", ""), ("Datatype: Half, Format", "Datatype: Half, Fmt")]
)
def test_another_form_is_refused_and_not_guessed_at(old: str, new: str) -> None:
    with pytest.raises(InputError, match="in a form that is not known"):
        parse_kernels(LAYERS.replace(old, new, 1))


def test_a_line_that_cannot_be_read_is_a_kernel_like_no_other() -> None:
    changed = LAYERS.replace("LayerType: gemm, Inputs: [", "LayerType: gemm, Reads: [")
    fused, unread, shape = parse_readable_kernels(changed)
    assert (fused, shape) == (parse_kernels(LAYERS)[0], parse_kernels(LAYERS)[2])
    assert (unread.name, unread.layer_type, unread.multiplies) == (
        "node_MatMul_61_myl0_5",
        "unread",
        True,
    )
    assert unread.onnx_nodes == ("node_MatMul_61",)
    assert bytes_written([fused, unread]) is None
    other = parse_readable_kernels(changed.replace("[2500,50,1]", "[2500,1,50]"))
    assert signatures([unread]) != signatures([other[1]])
    assert parse_readable_kernels(LAYERS) == parse_kernels(LAYERS)
    assert parse_readable_kernels(changed.splitlines()[2]) == ()  # none of a form that is known
