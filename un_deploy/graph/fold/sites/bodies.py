"""Sites in the bodies of If, Loop and Scan, which are named and stay.

A body is looked at as a graph of its own: what it reads from outside is an input of it, or a
constant.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes


def bodies(
    model: ir.Model, constants: Constants, shapes: Shapes
) -> Iterator[tuple[ir.Node, str, ir.Model]]:
    """Each body of an operator of the main graph: the operator, the body's name, and the body.

    The bodies are copies.
    """
    for node in model.graph:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield node, attribute.name, _alone(attribute.as_graph(), model, constants, shapes)


def _alone(body: ir.Graph, model: ir.Model, constants: Constants, shapes: Shapes) -> ir.Model:
    graph = body.clone(allow_outer_scope_values=True)
    graph.opset_imports.update(model.opset_imports)
    inside = {graph, *(node.graph for node in graph.all_nodes())}
    given: dict[ir.Value, ir.Value] = {}
    names: dict[str, str] = {}

    def own(value: ir.Value) -> ir.Value:
        if value not in given:
            given[value] = _given(value, constants, shapes, names)
            if given[value].const_value is None:
                graph.inputs.append(given[value])
            else:
                graph.register_initializer(given[value])
        return given[value]

    for node in list(graph.all_nodes()):
        for index, value in enumerate(node.inputs):
            if value is not None and value.graph not in inside:
                node.replace_input_with(index, own(value))
    for index, value in enumerate(graph.outputs):
        if value.graph not in inside:
            graph.append(ir.node("Identity", [own(value)]))
            graph.outputs[index] = graph[-1].outputs[0]
    return ir.Model(
        graph, ir_version=model.ir_version or 10, functions=list(model.functions.values())
    )


def _given(
    value: ir.Value, constants: Constants, shapes: Shapes, names: dict[str, str]
) -> ir.Value:
    """A value from outside, by its name: a constant, or an input of the shape that is known."""
    tensor = value.const_value if value.producer() is None else None
    if value in constants and tensor is None:
        dtype = constants.dtype(value)
        tensor = ir.tensor(constants[value].astype(dtype.numpy()), dtype=dtype)
    elif value not in constants:
        tensor = None
    known = shapes.of(value)
    shape = None
    if known is not None:
        shape = ir.Shape(
            dim if isinstance(dim, int) else names.setdefault(str(dim), f"size_{len(names)}")
            for dim in known
        )
    dtype_ = shapes.dtype(value)
    return ir.Value(
        name=value.name,
        shape=shape,
        type=value.type or (None if dtype_ is None else ir.TensorType(dtype_)),
        const_value=tensor,
    )
