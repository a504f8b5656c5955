"""What a builder tells of its layers, read; the lines are TensorRT-RTX 1.7's own."""

from __future__ import annotations

import pytest

from un_deploy.engines.kernels.kernels import bytes_written, parse_kernels, signatures
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
