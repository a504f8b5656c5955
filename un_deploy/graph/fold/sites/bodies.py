"""The bodies of If, Loop and Scan, each as a model of its own.

What a body reads from outside is an input of that model, so that it stays as it is, or a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes


def bodies_of(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """The bodies of an If, a Loop or a Scan, by the names of its attributes."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not node.domain:
            yield attribute.name, attribute.as_graph()


def names_in(graph: ir.Graph) -> frozenset[str]:
    """The names of all tensors of a graph, those in bodies too."""
    values = [*graph.inputs, *graph.initializers.values()]
    for node in graph.all_nodes():
        values += node.outputs
        for _, body in bodies_of(node):
            values += [*body.inputs, *body.initializers.values()]
    return frozenset(str(value.name) for value in values)


def read_outside(body: ir.Graph) -> list[ir.Value]:
    """The values from outside that a body or one inside it reads, in order."""
    inside = {body, *(node.graph for node in body.all_nodes())}
    read = (value for node in body.all_nodes() for value in node.inputs if value is not None)
    return list(dict.fromkeys(value for value in read if value.graph not in inside))


def alone(
    body: ir.Graph,
    model: ir.Model,
    constants: Constants,
    shapes: Shapes,
    outside: Iterable[ir.Value],
    stands_for: Callable[[ir.Value], ir.Value],
) -> ir.Model:
    """A copy of a body as a model.

    Args:
        body: of an operator of a main graph.
        model: the model whose operators make what is outside.
        constants, shapes: of that model.
        outside: what becomes an input or a constant, in this order, under its name.
        stands_for: which of these a value is that the body reads from outside.
    """
    graph = body.clone(allow_outer_scope_values=True)
    graph.opset_imports.update(model.opset_imports)
    names: dict[str, str] = {}
    given: dict[ir.Value, ir.Value] = {}
    read = {value: stands_for(value) for value in read_outside(graph)}
    for place, value in enumerate(graph.inputs):
        _forget_names(value, place)
    for value in outside:
        given[value] = _given(value, constants, shapes, names)
        if given[value].const_value is None:
            graph.inputs.append(given[value])
        else:
            graph.register_initializer(given[value])
    for node in list(graph.all_nodes()):
        for index, inner in enumerate(node.inputs):
            if inner in read:
                node.replace_input_with(index, given[read[inner]])
    functions = list(model.functions.values())
    return ir.Model(graph, ir_version=model.ir_version or 10, functions=functions)


def put_back(node: ir.Node, name: str, body: ir.Model, outside: Iterable[ir.Value]) -> None:
    """Let an operator run a body that was changed alone; it reads from outside what it read."""
    for inner in node.attributes[name].as_graph().all_nodes():
        for index in range(len(inner.inputs)):
            inner.replace_input_with(index, None)
    graph = body.graph
    for value, before in zip(graph.inputs, node.attributes[name].as_graph().inputs, strict=False):
        value.shape = before.shape
    for outer in outside:
        for value in (*graph.inputs, *graph.initializers.values()):
            if value.name == outer.name:
                value.replace_all_uses_with(outer)
                if value.is_initializer():
                    graph.initializers.pop(str(value.name))
                else:
                    graph.inputs.remove(value)
                break
    node.attributes[name] = ir.AttrGraph(name, graph)


def _forget_names(value: ir.Value, place: int) -> None:
    """What a file calls the sizes in a body may be invented: two of one name may differ."""
    if value.shape is not None:
        value.shape = ir.Shape(
            dim if isinstance(dim, int) else f"inner_{place}_{axis}"
            for axis, dim in enumerate(value.shape.dims)
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
    told = shapes.dtype(value)
    return ir.Value(
        name=value.name,
        shape=shape,
        type=value.type or (None if told is None else ir.TensorType(told)),
        const_value=tensor,
    )
