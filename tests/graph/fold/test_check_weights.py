"""Weights are numbers, or their tensor is named before anything is folded."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import helper, numpy_helper

from un_deploy.errors import InputError
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.model.model_file import from_proto


def _proto(weight: np.ndarray | None = None) -> onnx.ModelProto:
    """y = x @ w + b."""
    weight = np.ones((16, 8), np.float32) if weight is None else weight
    dtype = helper.np_dtype_to_tensor_dtype(weight.dtype)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["y"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, dtype, ["batch", size])]
        for name, size in (("x", 16), ("y", 8))
    ]
    constants = [
        numpy_helper.from_array(weight, "w"),
        numpy_helper.from_array(np.zeros(8, weight.dtype), "b"),
    ]
    graph = helper.make_graph(nodes, "main", *ends, constants)
    opsets = [helper.make_opsetid("", 20)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_a_weight_that_is_no_number_is_named(dtype: type, bad: float, word: str):
    weight = np.ones((16, 8), dtype)
    weight[3, 5] = bad
    model = from_proto(_proto(weight), "model")
    with pytest.raises(InputError, match=rf"weight 'w' has 1 {word} of 128 entries"):
        check_weights(model)


def test_sound_weights_pass():
    check_weights(from_proto(_proto(), "model"))


def test_a_mask_may_be_infinite_but_never_nan():
    def model(entry: float) -> ir.Model:
        proto = _proto()
        proto.graph.initializer[1].CopyFrom(
            numpy_helper.from_array(np.full(8, entry, np.float32), "b")
        )
        return from_proto(proto, "model")

    check_weights(model(-np.inf))
    with pytest.raises(InputError, match="weight 'b' has 8 NaN"):
        check_weights(model(np.nan))


def test_a_weight_whose_bytes_do_not_fit_its_shape_is_named():
    proto = _proto()
    proto.graph.initializer[0].raw_data = b"1234"
    with pytest.raises(InputError, match=r"'w' of FLOAT \[16, 8\] holds 4 bytes, not 512"):
        from_proto(proto, "model")
