"""Runs a network in float64: what its formula gives, all but free of rounding.

No evaluator of ours is asked: a copy of the graph with every floating tensor widened goes to a
runtime that can compute it, torch where it is installed and takes the graph, else ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import widen
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.runtime.backends import installed_runtimes
from un_deploy.runtime.protocol import Session

_NARROW = {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16}

#: Attributes that name the type of a result.
_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype"}


class InDouble:
    """A model in float64; the first runtime that computes it is kept for the runs to come."""

    def __init__(self, model: ir.Model) -> None:
        self._model = widened(model)
        self._session: Session | None = None

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run once; see `un_deploy.runtime.protocol.Session`. Floating inputs are widened.

        Raises:
            InputError: no runtime that is installed computes the graph in float64.
        """
        wide = {name: widen(array) for name, array in feeds.items()}
        if self._session is not None:
            return self._session.run(wide, fetch)
        reasons = []
        for runtime in reversed(installed_runtimes()):  # torch has float64 for all that it knows
            try:
                session = runtime.load(self._model)
                found = session.run(wide, fetch)
            except InputError as error:
                reasons.append(str(error))
                continue
            self._session = session
            return found
        told = "; ".join(reasons) or "neither torch nor ONNX Runtime is installed"
        raise InputError(f"no runtime computes the network in float64: {told}")


def widened(model: ir.Model) -> ir.Model:
    """A copy in which every tensor of fp32, fp16 or bf16 is float64, in bodies too.

    Constants are widened when they are read, one at a time.
    """
    model = model.clone()
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None and value.const_value.dtype in _NARROW:
                value.const_value = _wide(value.const_value)
        outputs = (value for node in graph for value in node.outputs)
        for value in (*graph.inputs, *graph.initializers.values(), *outputs):
            if isinstance(value.type, ir.TensorType) and value.dtype in _NARROW:
                value.type = ir.TensorType(ir.DataType.DOUBLE)  # a clone shares the old one
        for node in graph:
            _widen_attributes(node)
    return model


def _widen_attributes(node: ir.Node) -> None:
    if node.op_type == "ConstantOfShape" and "value" not in node.attributes:
        node.attributes["value"] = ir.AttrTensor("value", ir.tensor(np.zeros(1)))
    for name, attribute in list(node.attributes.items()):
        if name in _TYPE_ATTRIBUTES and attribute.type == ir.AttributeType.INT:
            if ir.DataType(attribute.as_int()) in _NARROW:
                node.attributes[name] = ir.AttrInt64(name, int(ir.DataType.DOUBLE))
        elif attribute.type == ir.AttributeType.TENSOR:
            if attribute.as_tensor().dtype in _NARROW:
                node.attributes[name] = ir.AttrTensor(name, _wide(attribute.as_tensor()))
        elif node.op_type == "Constant" and name in ("value_float", "value_floats"):
            del node.attributes[name]
            # A number of this attribute is a float32, whatever Python has made of it.
            array = np.asarray(attribute.value, np.float32).astype(np.float64)
            node.attributes["value"] = ir.AttrTensor("value", ir.tensor(array))


def _wide(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.LazyTensor(
        lambda: ir.Tensor(widen(tensor.numpy())),
        ir.DataType.DOUBLE,
        ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )
