"""The same graph in a wider type; nothing of the package is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import AttributeProto, GraphProto, TensorProto, ValueInfoProto

from tests.support.fuzzer.drawing.spelling import factors

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
FLOATS = (*HALVES, TensorProto.FLOAT, TensorProto.DOUBLE)


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with float32 wherever a half type stood."""
    model = with_floats(model, lambda array: array.astype(np.float32), HALVES)
    for graph in _graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            _widen(value)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.i in HALVES:
                    attribute.i = TensorProto.FLOAT
    return model


def with_floats(
    model: onnx.ModelProto,
    change: Callable[[np.ndarray], np.ndarray],
    types: tuple[int, ...] = FLOATS,
) -> onnx.ModelProto:
    """A copy with other numbers in every weight of these types, bodies included."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    kept = factors(copy.graph.node)
    for graph in _graphs(copy.graph):
        held = [
            attribute.t
            for node in graph.node
            for attribute in node.attribute
            if attribute.type == AttributeProto.TENSOR
        ]
        for tensor in (*graph.initializer, *held):
            if tensor.data_type in types and tensor.name not in kept:
                array = change(onnx.numpy_helper.to_array(tensor))
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(array), tensor.name))
    return copy


def _widen(value: ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type in HALVES:
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)
