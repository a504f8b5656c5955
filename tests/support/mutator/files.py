"""Ten small ONNX files, with their weights files, for the mutator: each has what others lack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from tests.support.corruptor.networks import NETWORKS
from tests.support.graphs import NORM, build
from un_deploy.graph.precision.convert import to_precision_graph

Files = Mapping[str, bytes]
"""What lies in a model's folder, by name."""

MODEL, WEIGHTS = "model.onnx", "weights"


@cache
def files_of(name: str) -> Files:
    """The files of one of `FILES`."""
    return FILES[name]()


def inside(name: str) -> Files:
    """A network of the corruptor's, with its weights in the model file."""
    return {MODEL: ir.to_proto(NETWORKS[name]()).SerializeToString()}


def in_fp16() -> Files:
    """Post-norm, converted."""
    model = NETWORKS["post-norm"]()
    to_precision_graph(model, "fp16")
    return {MODEL: ir.to_proto(model).SerializeToString()}


def beside(name: str) -> Files:
    """A network with the weights of its graph, and the constants in its nodes, in a file beside."""
    proto = ir.to_proto(NETWORKS[name]())
    weights = b""
    constants = [a.t for node in proto.graph.node for a in node.attribute if a.HasField("t")]
    for tensor in (*proto.graph.initializer, *constants):
        data = numpy_helper.to_array(tensor).tobytes()
        for field in ("raw_data", "float_data", "int64_data", "int32_data"):
            tensor.ClearField(field)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", len(weights)), ("length", len(data))):
            tensor.external_data.add(key=key, value=str(value))
        weights += data
    return {MODEL: proto.SerializeToString(), WEIGHTS: weights}


def of_every_type() -> Files:
    """Weights as lists of numbers, not as bytes; doubles, strings, 4 bits; metadata; opset 21."""
    model = build(
        "double[B,6] x, string[B] s => double[B,4] y, string[B] t, double[6,4] z",
        f"""{NORM} h = MatMul(n, w) y = Add(h, c) t = Where(f, s, r)
        k = Constant<value_ints = [6, 4]>() d = DequantizeLinear(q, e, o) g = Cast<to = 11>(d)
        z = Reshape(g, k)""",
        opset=21,
        dtype=np.float64,
        a=(6,), b=(6,), w=(6, 4), c=(4,),
        e=np.array(0.5, np.float32), f=np.array([True]), r=np.array(["other"], object),
        q=np.array([*range(-8, 8), *range(8)], ml_dtypes.int4), o=np.array(1, ml_dtypes.int4),
    )  # fmt: skip
    proto = ir.to_proto(model)
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype in (np.float32, np.float64):
            field = tensor.double_data if array.dtype == np.float64 else tensor.float_data
            tensor.ClearField("raw_data")
            field.extend(array.ravel().tolist())
    onnx.helper.set_model_props(proto, {"written": "by hand"})
    proto.doc_string, proto.graph.doc_string = "of every type", "a graph"
    return {MODEL: proto.SerializeToString()}


FILES: Mapping[str, Callable[[], Files]] = {
    "post-norm": partial(inside, "post-norm"),
    "bodies": partial(inside, "bodies"),
    "convolutions": partial(inside, "convolutions"),
    "pieces": partial(inside, "pieces"),
    "quantised": partial(inside, "quantised"),
    "another domain": partial(inside, "another domain"),
    "fp16": in_fp16,
    "weights beside": partial(beside, "convolutions"),
    "constants beside": partial(beside, "bodies"),
    "every type": of_every_type,
}
