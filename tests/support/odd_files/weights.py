"""Where weights are, and in which form."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.odd_files.way import CONSTANTS, behind, network, way


def _input(tensor: onnx.TensorProto) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)


@way()
def weights_among_the_inputs_of_ir_version_3() -> onnx.ModelProto:
    model = network(opset=8, ir_version=3)
    model.graph.input.extend(_input(tensor) for tensor in model.graph.initializer)
    return model


@way()
def weights_before_the_inputs_of_ir_version_3() -> onnx.ModelProto:
    model = network(opset=8, ir_version=3)
    (x,) = model.graph.input
    del model.graph.input[:]
    model.graph.input.extend(_input(tensor) for tensor in model.graph.initializer)
    model.graph.input.append(x)
    return model


@way()
def weights_of_ir_version_3_that_are_no_inputs() -> onnx.ModelProto:
    return network(opset=8, ir_version=3)


@way(folds=0, gone=())
def weights_that_the_caller_may_override() -> onnx.ModelProto:
    model = network()
    model.graph.input.extend(_input(tensor) for tensor in model.graph.initializer)
    return model


@way()
def another_weight_that_the_caller_may_override() -> onnx.ModelProto:
    model = network(behind("y = Add(z, d)"), constants={"d": np.ones(5, np.float32)})
    model.graph.input.append(_input(model.graph.initializer[-1]))
    return model


@way()
def weights_in_constants() -> onnx.ModelProto:
    model = network()
    nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    nodes += model.graph.node
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@way()
def weights_in_lists_of_floats() -> onnx.ModelProto:
    model = network()
    del model.graph.initializer[:]
    model.graph.initializer.extend(
        helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel())
        for name, array in CONSTANTS.items()
    )
    return model


@way()
def weights_that_nobody_reads() -> onnx.ModelProto:
    return network(constants={"unread": np.ones((3, 3), np.float32)})


@way()
def a_weight_twice() -> onnx.ModelProto:
    model = network()
    model.graph.initializer.insert(0, numpy_helper.from_array(np.zeros(4, np.float32), "a"))
    return model


@way()
def a_sparse_weight() -> onnx.ModelProto:
    """ONNX Runtime makes it dense when it loads it."""
    model = network(behind("y = MatMul(z, d)"))
    model.graph.sparse_initializer.append(_sparse("d"))
    return model


@way()
def a_sparse_weight_that_takes_the_fold() -> onnx.ModelProto:
    model = network()
    del model.graph.initializer[2]
    model.graph.sparse_initializer.append(_sparse("k", rows=4))
    return model


@way()
def a_sparse_constant() -> onnx.ModelProto:
    model = network(behind("y = MatMul(z, d)"))
    node = helper.make_node("Constant", [], ["d"], sparse_value=_sparse(""))
    model.graph.node.insert(0, node)
    return model


def _sparse(name: str, rows: int = 5) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.float32([1, 2, 3]), name)
    places = numpy_helper.from_array(np.array([0, 7, 19], np.int64), f"{name}_places")
    return helper.make_sparse_tensor(values, places, [rows, 5])


@way()
def training_graphs() -> onnx.ModelProto:
    model = network()
    info = model.training_info.add()
    info.initialization.name = "start"
    return model


@way()
def notes_of_a_quantiser() -> onnx.ModelProto:
    model = network()
    note = model.graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="a")
    return model


@way()
def weights_of_four_and_eight_bits_beside_the_fold() -> onnx.ModelProto:
    text = behind("d = DequantizeLinear<axis=0, block_size=5>(q, s) y = MatMul(z, d)")
    model = network(text, opset=21, ir_version=10, constants={"s": np.ones((1, 5), np.float32)})
    model.graph.initializer.append(helper.make_tensor("q", TensorProto.INT4, (5, 5), [3] * 25))
    return model
