"""What a file says, or does not say, of types and shapes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.support.odd_files.way import FOLD, PLAIN, network, way

_THREE = np.ones((2, 3, 4), np.float32)


@way(r=_THREE)
def an_input_of_unknown_rank() -> onnx.ModelProto:
    model = network(
        f"(float[B,3,4] x, float r) => (float[B,3,5] y, float s) {{ {FOLD} s = Relu(r) }}"
    )
    for info in (model.graph.input[1], model.graph.output[1]):
        info.type.tensor_type.ClearField("shape")
    return model


@way()
def sizes_without_names() -> onnx.ModelProto:
    model = network()
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].Clear()
    return model


@way()
def sizes_of_minus_one() -> onnx.ModelProto:
    model = network()
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = -1
    return model


@way()
def sizes_with_odd_names() -> onnx.ModelProto:
    model = network()
    for info in (*model.graph.input, *model.graph.output):
        for dim, name in zip(info.type.tensor_type.shape.dim, ("a b::c",), strict=False):
            dim.dim_param = name
    return model


@way()
def an_output_of_unknown_rank() -> onnx.ModelProto:
    model = network()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


@way()
def an_output_without_a_type() -> onnx.ModelProto:
    model = network()
    model.graph.output[0].ClearField("type")
    return model


@way()
def an_output_with_another_shape() -> onnx.ModelProto:
    model = network()
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 6
    return model


@way()
def value_info_of_some_tensors() -> onnx.ModelProto:
    model = network()
    model.graph.value_info.append(helper.make_tensor_value_info("n", TensorProto.FLOAT, None))
    return model


@way()
def value_info_of_tensors_that_are_not_there() -> onnx.ModelProto:
    model = network()
    model.graph.value_info.append(helper.make_tensor_value_info("gone", TensorProto.FLOAT, [2]))
    return model


@way()
def value_info_without_a_type() -> onnx.ModelProto:
    model = network()
    model.graph.value_info.append(onnx.ValueInfoProto(name="n"))
    return model


@way()
def value_info_of_another_shape() -> onnx.ModelProto:
    model = network()
    model.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, [1, 3, 4]))
    return model


@way(s=[_THREE, _THREE])
def a_sequence_as_input() -> onnx.ModelProto:
    text = "(float[B,3,4] x, seq(float[B,3,4]) s) => (float[B,3,5] y, float[B,Z,4] t)"
    return network(f"{text} {{ {FOLD} t = ConcatFromSequence<axis=1>(s) }}")


@way()
def a_sequence_in_between() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y, float[B,3,10] t)"
    return network(
        f"{text} {{ {FOLD} s = SequenceConstruct(y, y) t = ConcatFromSequence<axis=2>(s) }}"
    )


@way()
def a_sequence_as_output() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y, seq(float[B,3,5]) s)"
    return network(f"{text} {{ {FOLD} s = SequenceConstruct(y, y) }}")


@way(o=_THREE)
def an_optional_as_input() -> onnx.ModelProto:
    text = "(float[B,3,4] x, optional(float[2,3,4]) o) => (float[B,3,5] y, bool h)"
    return network(f"{text} {{ {FOLD} h = OptionalHasElement(o) }}")


@way(s=[_THREE, _THREE])
def an_optional_sequence_as_input() -> onnx.ModelProto:
    text = "(float[B,3,4] x, optional(seq(float[2,3,4])) s) => (float[B,3,5] y, bool h)"
    return network(f"{text} {{ {FOLD} h = OptionalHasElement(s) }}")


@way()
def maps_as_output() -> onnx.ModelProto:
    """As scikit-learn's converters write classifiers."""
    text = "(float[B,3,4] x) => (float[B,3,5] y, seq(map(int64, float)) z)"
    body = f"{FOLD} p = ReduceMax<axes=[1], keepdims=0>(y)"
    model = network(f"{text} {{ {body} z = ai.onnx.ml.ZipMap<classlabels_int64s=[1,2,3,4,5]>(p) }}")
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


@way(w={"one": 1.0, "two": 2.0})
def a_map_as_input() -> onnx.ModelProto:
    text = "(float[B,3,4] x, map(string, float) w) => (float[B,3,5] y, float[N] v)"
    body = f'{FOLD} v = ai.onnx.ml.DictVectorizer<string_vocabulary=["one","two"]>(w)'
    return network(f"{text} {{ {body} }}", imports={"ai.onnx.ml": 3})


@way(s=np.array(["one", "two"]))
def strings_beside_the_fold() -> onnx.ModelProto:
    text = "(float[B,3,4] x, string[N] s) => (float[B,3,5] y, string[N] t)"
    return network(f"{text} {{ {FOLD} t = Identity(s) }}")


@way()
def an_optional_as_output() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y, optional(float[B,3,5]) o)"
    return network(f"{text} {{ {FOLD} o = Optional(y) }}")


@way(c=np.array(True))
def bodies_without_types() -> onnx.ModelProto:
    text = "(float[B,3,4] x, bool c) => (float[B,3,5] y) {" + FOLD.replace("y =", "z =")
    text += " y = If(c) <then_branch = t () => (float[B,3,5] o) { o = Relu(z) },"
    text += " else_branch = e () => (float[B,3,5] p) { p = Tanh(z) }> }"
    model = network(text)
    for attribute in model.graph.node[-1].attribute:
        attribute.g.output[0].ClearField("type")
    return model


@way()
def an_output_twice() -> onnx.ModelProto:
    model = network()
    model.graph.output.append(model.graph.output[0])
    return model


@way()
def an_output_that_is_an_input() -> onnx.ModelProto:
    model = network()
    model.graph.output.append(model.graph.input[0])
    return model


@way()
def an_output_that_is_a_weight() -> onnx.ModelProto:
    return network(PLAIN.replace("float[B,3,5] y)", "float[B,3,5] y, float[4,5] k)"))
