"""Imports an ONNX graph for inputs of given shapes: whatever these determine is computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir
import torch
from torch import Tensor, fx, nn

from un_deploy.errors import InputError, one_line
from un_deploy.graph.model.labels import node_name
from un_deploy.runtime.torch_graph.operators import HANDLERS, OLDEST_OPSET
from un_deploy.runtime.torch_graph.recognize import Recognizer
from un_deploy.runtime.torch_graph.record_calls import Trace, Traced, Value


def check_operators(model: ir.Model) -> None:
    """Check that all operators of a graph are in the table.

    Raises:
        InputError: names the operator and the node.
    """
    opset = model.opset_imports.get("", 0)
    if opset < OLDEST_OPSET:
        raise InputError(
            f"the graph has opset {opset}, and torch runs {OLDEST_OPSET} and later: export it anew"
        )
    for node in model.graph:
        if node.domain not in ("", "ai.onnx") or node.op_type not in HANDLERS:
            operator = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            raise InputError(f"{label(node)}: torch has no handler for the operator {operator}")


def specialise(
    model: ir.Model,
    initializers: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    *,
    outputs: Sequence[str] | None = None,
    recognize: bool = True,
) -> fx.GraphModule:
    """A graph as plain torch calls with all sizes written in.

    Args:
        model: passed `check_operators`.
        initializers: shared, not copied. A torch.nn.Parameter stays in the graph with everything
            computed from it, so that it takes gradients; any other tensor is a constant.
        inputs: tensors with the shape and type of each input to be fed; their values are not
            read.
        outputs: names of tensors of the main graph; None: the graph's outputs.
        recognize: put one call for attention, linear and GELU; else one for each operator.

    Returns:
        A module called with tensors in the order of `inputs`, returning a tuple. Its tensors
        that are no parameters are buffers.

    Raises:
        InputError: names the node whose operator does not run on these shapes, or an input that
            the graph has not.
    """
    trace = Trace()
    values: dict[ir.Value, Value] = {}
    for name, tensor in initializers.items():
        traced = isinstance(tensor, nn.Parameter)
        values[model.graph.initializers[name]] = trace.constant(tensor, name) if traced else tensor
    by_name = {value.name: value for value in model.graph.inputs}
    for name, like in inputs.items():
        if name not in by_name:
            raise InputError(f"the graph has no input {name}")
        values[by_name[name]] = trace.input(name, like)
    recognizer = Recognizer(values) if recognize else None
    with torch.no_grad():
        for index, node in enumerate(model.graph):
            trace.source = index
            _run(node, values, recognizer)
    named = {value.name: value for value in values}
    wanted = [v.name for v in model.graph.outputs] if outputs is None else outputs
    return trace.module(tuple(values[named[name]] for name in wanted))


def _run(node: ir.Node, values: dict[ir.Value, Value], recognizer: Recognizer | None) -> None:
    arguments = [None if value is None else values[value] for value in node.inputs]
    try:
        result = None
        if recognizer is not None and any(isinstance(a, Traced) for a in arguments):
            result = recognizer(node)
        if result is None:
            result = HANDLERS[node.op_type](node, *arguments)
    except Exception as error:  # what torch raises depends on the operator
        raise InputError(f"{label(node)}: {one_line(error)}") from error
    results: list[Value] = result if isinstance(result, list) else [result]
    for index, value in enumerate(node.outputs):
        if index < len(results):
            values[value] = results[index]
        elif value.uses() or value.is_graph_output():
            raise InputError(f"{label(node)}: its output {value.name} is not supported")


def label(node: ir.Node) -> str:
    """As messages call a node."""
    return f"node {node_name(node)} ({node.op_type})"
