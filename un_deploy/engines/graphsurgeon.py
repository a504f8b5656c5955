"""Changes an onnx_graphsurgeon.Graph before a build: outputs, regions, types at the edges.

Each function changes the graph it is given and returns it, as graphsurgeon's own methods do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import onnx
from onnx import helper

from un_deploy.errors import InputError

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

_FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
_INTEGERS = {onnx.TensorProto.INT32, onnx.TensorProto.INT64}


def mark_outputs(graph: gs.Graph, names: Collection[str]) -> gs.Graph:
    """Make inner tensors outputs as well, so that an engine keeps and returns them.

    Raises:
        InputError: the graph has no such tensor, it is an input or a constant, or its type is
            unknown.
    """
    for name in names:
        tensor = _tensor(graph, name)
        if not tensor.inputs:
            raise InputError(f"{name} is no result of a node, and cannot become an output")
        if not any(tensor is output for output in graph.outputs):
            graph.outputs.append(_typed(tensor))
    return graph


def extract_region(
    graph: gs.Graph, inputs: Collection[str] = (), outputs: Collection[str] = ()
) -> gs.Graph:
    """Keep what lies between some tensors, its inputs and outputs; empty: those the graph has.

    Raises:
        InputError: the graph has no such tensor, the type of one is unknown, or an output needs
            an input of the graph that is not among those of the region.
    """
    old_inputs = list(graph.inputs)
    if inputs:
        graph.inputs = [_typed(_tensor(graph, name)) for name in inputs]
        for tensor in graph.inputs:
            tensor.inputs.clear()
    if outputs:
        graph.outputs = [_typed(_tensor(graph, name)) for name in outputs]
    graph.cleanup(remove_unused_graph_inputs=False).toposort()
    used = {id(tensor) for node in graph.nodes for tensor in node.inputs}
    for tensor in old_inputs:
        if id(tensor) in used and not any(tensor is one for one in graph.inputs):
            raise InputError(f"the region needs the input {tensor.name} too: name it")
    return graph


def set_io_types(graph: gs.Graph, types: Mapping[str, int]) -> gs.Graph:
    """Give inputs and outputs other element types, with a Cast at the edge.

    A Cast that is there already and does what is asked goes, so that none is left that another
    undoes: after a conversion to fp16 that kept an input in fp32, asking for fp16 leaves no Cast.

    A type is an ``onnx.TensorProto.DataType``.

    Raises:
        InputError: no input or output has such a name, or one of the types is neither a float
            nor int32 or int64, or a float is to become an integer or the reverse.
    """
    for name, wanted in types.items():
        is_input = any(tensor.name == name for tensor in graph.inputs)
        tensors = graph.inputs if is_input else graph.outputs
        index = next((i for i, tensor in enumerate(tensors) if tensor.name == name), None)
        if index is None:
            raise InputError(f"{name} is neither an input nor an output of the graph")
        inner = tensors[index]
        present = _checked_type(inner, wanted)
        if present != wanted:
            tensors[index] = edge = _edge(inner, present, wanted)
            (_cast_input if is_input else _cast_output)(graph, inner, edge)
    return graph.cleanup(remove_unused_graph_inputs=False).toposort()


def _cast_input(graph: gs.Graph, inner: gs.Variable, edge: gs.Variable) -> None:
    graph.nodes.append(_cast(edge, inner, _onnx_type(inner)))
    for node in list(inner.outputs):
        if node.op == "Cast" and node.attrs["to"] == _onnx_type(edge):
            _replace_reads(node.outputs[0], edge)


def _cast_output(graph: gs.Graph, inner: gs.Variable, edge: gs.Variable) -> None:
    wanted = _onnx_type(edge)
    if inner.inputs and inner.inputs[0].op == "Cast":
        before = inner.inputs[0].inputs[0]
        if before.dtype is not None and _onnx_type(before) == wanted and before.inputs:
            _make_it_write(before, edge)
            return
    graph.nodes.append(_cast(inner, edge, wanted))


def _edge(inner: gs.Variable, present: int, wanted: int) -> gs.Variable:
    """A tensor of the wanted type that takes over the name of an input or output."""
    import onnx_graphsurgeon as gs

    edge = gs.Variable(inner.name, dtype=_dtype(wanted), shape=inner.shape)
    inner.name = f"{inner.name}_as_{onnx.TensorProto.DataType.Name(present).lower()}"
    return edge


def _make_it_write(tensor: gs.Variable, edge: gs.Variable) -> None:
    """Let what makes a tensor make the edge instead."""
    node = tensor.inputs[0]
    node.outputs[next(i for i, output in enumerate(node.outputs) if output is tensor)] = edge
    _replace_reads(tensor, edge)


def _replace_reads(old: gs.Variable, new: gs.Variable) -> None:
    for node in list(old.outputs):
        for position, tensor in enumerate(node.inputs):
            if tensor is old:
                node.inputs[position] = new


def _cast(source: gs.Variable, target: gs.Variable, to: int) -> gs.Node:
    import onnx_graphsurgeon as gs

    return gs.Node("Cast", f"cast_{target.name}", {"to": to}, inputs=[source], outputs=[target])


def _tensor(graph: gs.Graph, name: str) -> gs.Variable:
    try:
        return graph.tensors()[name]
    except KeyError:
        raise InputError(f"the graph has no tensor {name}") from None


def _typed(tensor: gs.Variable) -> gs.Variable:
    if tensor.dtype is None:
        raise InputError(f"the type of {tensor.name} is not in the file: run shape inference first")
    return tensor


def _checked_type(tensor: gs.Variable, wanted: int) -> int:
    present = _onnx_type(_typed(tensor))
    both = {present, wanted}
    if present != wanted and not (both <= _FLOATS or both <= _INTEGERS):
        names = [onnx.TensorProto.DataType.Name(one) for one in (present, wanted)]
        raise InputError(f"{tensor.name} is {names[0]} and cannot be made {names[1]}")
    return present


def _onnx_type(tensor: gs.Variable) -> int:
    """graphsurgeon holds numpy's type, and ONNX's own number where numpy has none."""
    if isinstance(tensor.dtype, int):
        return tensor.dtype
    return int(helper.np_dtype_to_tensor_dtype(tensor.dtype))


def _dtype(onnx_type: int) -> object:
    if onnx_type == onnx.TensorProto.BFLOAT16:
        return onnx_type
    return helper.tensor_dtype_to_np_dtype(onnx_type)
