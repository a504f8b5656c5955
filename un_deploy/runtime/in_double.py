"""Runs a network in float64: what its formula gives, all but free of rounding.

No evaluator of ours is asked: a copy of the graph with every floating tensor widened goes to a
runtime that can compute it, torch where it is installed and takes the graph, else ONNX Runtime,
which has some operators in float32 alone: these round, each once, and nothing between them does.
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

#: What ONNX Runtime has on the CPU in float32 and not in float64.
_SINGLE = {"Conv", "ConvTranspose", "Elu", "Erf", "Gelu", "HardSigmoid", "LeakyRelu", "Selu"}
_SINGLE |= {"Softplus", "Softsign", "ThresholdedRelu", "Resize", "InstanceNormalization"}

#: Attributes that name the type of a result.
_TYPE_ATTRIBUTES = {"to", "dtype", "output_dtype"}


class InDouble:
    """A model in float64; the first runtime that computes it is kept for the runs to come."""

    def __init__(self, model: ir.Model, *, strict: bool = False) -> None:
        """`strict`: no operator may round to float32."""
        self._models = [widened(model)]
        if not strict:
            self._models.append(_with_casts(self._models[0]))
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
            for model in self._models:
                try:
                    session = runtime.load(model)
                    found = session.run(wide, fetch)
                except InputError as error:
                    reasons.append(str(error))
                    continue
                self._session = session
                return found
        told = "; ".join(dict.fromkeys(reasons)) or "neither torch nor ONNX Runtime is installed"
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


def _with_casts(model: ir.Model) -> ir.Model:
    """A copy of a widened model in which some operators compute in float32."""
    model = model.clone()
    for graph in model.graphs():
        for node in [n for n in graph if n.op_type in _SINGLE and not n.domain]:
            for index, value in enumerate(node.inputs):
                if value is not None and value.dtype in (None, ir.DataType.DOUBLE):
                    cast = ir.node("Cast", [value], {"to": int(ir.DataType.FLOAT)})
                    graph.insert_before(node, cast)
                    node.replace_input_with(index, cast.outputs[0])
            out = node.outputs[0]
            back = ir.node("Cast", [out], {"to": int(ir.DataType.DOUBLE)})
            wide, name = back.outputs[0], out.name
            out.replace_all_uses_with(wide, replace_graph_outputs=True)
            back.replace_input_with(0, out)
            wide.type, wide.shape = out.type, out.shape
            out.name, wide.name = f"{name}_in_float32", name
            out.type = ir.TensorType(ir.DataType.FLOAT)
            graph.insert_after(node, back)
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
