"""Carries out the conversion: rounds constants, retypes attributes, puts Casts between types."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from un_deploy.graph.analysis.operator_types import element, has_body, tensor_type
from un_deploy.graph.model.labels import unique_name
from un_deploy.graph.precision.bodies import every_graph, graph_of
from un_deploy.graph.precision.rounding import NAMES, narrowed
from un_deploy.graph.precision.what_stays_fp32 import Fp32Choice, is_filled

_FLOAT = ir.DataType.FLOAT


class Retyper:
    """Changes one model's types, from its inputs to its outputs.

    Attributes:
        casts: how many Casts were put in.
    """

    def __init__(self, model: ir.Model, choice: Fp32Choice, *, keep_io: bool) -> None:
        self.casts = 0
        self._graph = model.graph
        self._choice = choice
        self._half = choice.half
        self._keep_io = keep_io
        self._now: dict[ir.Value, ir.DataType] = {}
        self._in: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
        self._names = {value.name for value in choice.types}
        self._names |= {v.name for node in choice.nodes for v in node.outputs}

    def run(self) -> None:
        floats = [value for value in self._choice.types if self._choice.is_float(value)]
        demands = {value: self._choice.demands(value) for value in floats}
        self._now.update(dict.fromkeys(floats, _FLOAT))
        if not self._keep_io:
            for value in self._graph.inputs:
                if value in demands:
                    self._narrow(value, value.const_value)
        for value, tensor in list(self._choice.constants()):
            if not value.is_graph_input() and not is_filled(value):
                self._constant(value, tensor, demands[value])
        for node in self._choice.nodes:
            self._node(node)
        for graph in every_graph(self._graph):
            self._outputs(graph)

    def _constant(
        self, value: ir.Value, tensor: ir.TensorProtocol, demands: set[ir.DataType]
    ) -> None:
        """Give a constant the type in which it is read; both, where it is read in both."""
        if self._half not in demands:
            return
        node = value.producer()
        if demands == {self._half}:
            if node is None:
                self._narrow(value, tensor)
            else:
                _hold(node, narrowed(tensor, self._half, tensor.name))
                self._set(value, self._half)
            return
        name = self._unique(value, self._half)
        converted = narrowed(tensor, self._half, name)
        if node is None:
            twin = ir.Value(name=name, const_value=converted, shape=value.shape)
            graph_of(value).register_initializer(twin)
        else:
            made = ir.node("Constant", [], attributes={"value": converted}, name=name)
            graph_of(value).insert_after(node, made)
            twin = made.outputs[0]
            twin.name, twin.shape = name, value.shape
        self._set(twin, self._half)
        self._in[value, self._half] = twin

    def _narrow(self, value: ir.Value, tensor: ir.TensorProtocol | None) -> None:
        if tensor is not None:
            value.const_value = narrowed(tensor, self._half, value.name)
        self._set(value, self._half)

    def _node(self, node: ir.Node) -> None:
        for index, value in enumerate(list(node.inputs)):
            if value is not None and self._choice.is_float(value):
                node.replace_input_with(index, self._as(value, self._choice.wanted(node, index)))
        made = [value for value in node.outputs if self._choice.is_float(value)]
        if not made or node in self._choice.kept or node.op_type == "Constant" or has_body(node):
            return
        self._retype_attributes(node)
        types = [None if v is None else self._type_now(v) for v in node.inputs]
        for value, found in zip(
            node.outputs, self._choice.operators.results(node, types), strict=True
        ):
            if value in made and (dtype := element(found)) is not None:
                self._set(value, dtype)

    def _retype_attributes(self, node: ir.Node) -> None:
        if not self._choice.operators.makes(node, 0, self._half):
            return
        for name in ("to", "dtype"):
            if node.attributes.get_int(name, None) == _FLOAT:
                node.attributes[name] = ir.AttrInt64(name, int(self._half))
        if is_filled(node.outputs[0]):
            given = node.attributes.get("value")
            zero = ir.Tensor(np.zeros(1, np.float32))  # ONNX's default
            _hold(node, narrowed(given.as_tensor() if given else zero, self._half, None))

    def _as(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """The value in this type, through a Cast if need be; one Cast serves all readers."""
        if self._now[value] == dtype:
            return value
        if (value, dtype) not in self._in:
            self._in[value, dtype] = self._cast(value, dtype, self._unique(value, dtype))
        return self._in[value, dtype]

    def _cast(self, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        node = ir.node("Cast", [value], attributes={"to": int(dtype)}, name=name)
        producer = value.producer()
        if producer is None:
            graph_of(value).insert_before(graph_of(value)[0], node)
        else:
            graph_of(value).insert_after(producer, node)
        made = node.outputs[0]
        made.name, made.shape = name, value.shape
        self._set(made, dtype)
        self.casts += 1
        return made

    def _outputs(self, graph: ir.Graph) -> None:
        """Give the outputs their types: a body's fp32, the graph's under the names they had."""
        dtype = _FLOAT if self._keep_io or graph is not self._graph else self._half
        for value in dict.fromkeys(graph.outputs):
            if self._now.get(value, dtype) == dtype:
                continue
            made, name = self._as(value, dtype), value.name
            if graph is self._graph:
                value.name, made.name = self._unique(value, self._now[value]), name
            for index, output in enumerate(graph.outputs):
                if output is value:
                    graph.outputs[index] = made

    def _type_now(self, value: ir.Value) -> onnx.TypeProto:
        dtype = self._now.get(value)
        return self._choice.types[value] if dtype is None else tensor_type(dtype)

    def _set(self, value: ir.Value, dtype: ir.DataType) -> None:
        self._now[value] = dtype
        value.type = ir.TensorType(dtype)  # a new one: values may share theirs

    def _unique(self, value: ir.Value, dtype: ir.DataType) -> str:
        return unique_name(f"{value.name}_{NAMES.get(dtype, 'fp32')}", self._names)


def _hold(node: ir.Node, tensor: ir.TensorProtocol) -> None:
    """Make it the tensor of a Constant or a ConstantOfShape, however that was spelled."""
    node.attributes.clear()
    node.attributes["value"] = ir.AttrTensor("value", tensor)
