"""Turns what users hold (path, ModelProto, onnx_ir.Model, gs.Graph) into onnx-ir, and back."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from un_deploy.arguments.check import shown
from un_deploy.errors import InputError, one_line
from un_deploy.graph.model.checks import check_model
from un_deploy.graph.model.message_forms import keep_meta, to_message
from un_deploy.graph.model.model_file import from_proto, load_model
from un_deploy.graph.model.move_weights import give_back, take_aside
from un_deploy.graph.model.tensor_storage import external_tensors, own_tensors

#: A model has no more operators than this when its local functions are inlined.
_MOST_OPERATORS = 1_000_000

Path = str | os.PathLike[str]


class GraphsurgeonGraph(Protocol):
    """What an onnx_graphsurgeon.Graph is known by to a type checker: the library has no types."""

    nodes: Any
    import_domains: Any

    def cleanup(self, *args: Any, **kwargs: Any) -> Any: ...


InMemory = TypeVar("InMemory", onnx.ModelProto, ir.Model, GraphsurgeonGraph)
"""A model in memory, of a kind that is given back."""

Restore = Callable[[ir.Model], Any]


def to_ir(model: Any) -> tuple[ir.Model, Restore]:
    """Turn what the user holds into a checked model that may be edited freely.

    What was given is never changed, and its weights are shared, not copied. Calls of local
    functions are inlined: a norm inside a function would be out of sight, and weights cannot be
    folded across a call.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph.

    Returns:
        The model, and a function that turns an edited one into the kind that was given. A path
        gives an onnx_ir.Model. A Graph holds no metadata, no doc strings of nodes and tensors,
        and of the model only producer and versions: metadata that is added is not in the Graph.

    Raises:
        InputError: the model cannot be read or is not valid.
    """
    restore: Restore = _as_it_is
    if isinstance(model, str | os.PathLike):
        private, origin = load_model(model), str(model)
    elif isinstance(model, ir.Model):
        origin = "the onnx_ir.Model"
        private = _clone(model, origin)
    elif isinstance(model, onnx.ModelProto):
        origin, restore = "the ModelProto", to_message
        private = _from_proto(model, origin)
    elif _is_graphsurgeon(model):
        origin, restore = "the onnx_graphsurgeon.Graph", to_graphsurgeon
        private = _from_proto(_graphsurgeon_proto(model), origin)
        private.graph.sort()  # graphsurgeon leaves the order to its user
    else:
        raise InputError(
            f"{shown(model)} is no model: give a path, an onnx.ModelProto, an "
            f"onnx_ir.Model or an onnx_graphsurgeon.Graph"
        )
    if not isinstance(model, str | os.PathLike):  # a file was checked when loaded
        check_model(private, origin)
    if private.functions:
        _inline(private, origin)
        check_model(private, origin)
    return private, restore


def name_of(model: Any) -> str:
    """What a report calls it: its path, where it has one."""
    return str(model) if isinstance(model, str | os.PathLike) else "a model in memory"


def operated(model: ir.Model, operate: Callable[[Any], object]) -> ir.Model:
    """The model after a change of its onnx_graphsurgeon.Graph, which has no weights meanwhile.

    Args:
        model: without local functions; it is not changed, and shares its weights with the result.
        operate: changes the Graph, and may not read constants beyond 256 bytes.

    Raises:
        InputError: the result is not valid.
    """
    light, origin = model.clone(), "the graph after the changes asked for"
    weights = take_aside(light)
    graph = to_graphsurgeon(light)
    operate(graph)
    result = from_proto(_graphsurgeon_proto(graph), origin)
    give_back(result, weights)
    result.graph.sort()  # graphsurgeon leaves the order to its user
    check_model(result, origin)
    return result


def _as_it_is(model: ir.Model) -> ir.Model:
    return model


def _clone(model: ir.Model, origin: str) -> ir.Model:
    """A model with nodes, values, types and tensor objects of its own."""
    try:
        private = model.clone()
    except RuntimeError as error:
        raise InputError(
            "the onnx_ir.Model reads a tensor before it is made: call model.graph.sort()"
        ) from error
    for graph in private.graphs():
        values = [*graph.inputs, *graph.initializers.values()]
        for value in (*values, *(output for node in graph for output in node.outputs)):
            value.type = copy.copy(value.type)
    own_tensors(private, origin)
    keep_meta(private, model)
    return private


def _from_proto(proto: onnx.ModelProto, origin: str) -> ir.Model:
    private = from_proto(proto, origin)
    for name, tensor in external_tensors(private):
        raise InputError(
            f"{origin} leaves {name!r} in the file {tensor.location}, and a model in memory does "
            f"not say where that is: give the path of the model instead"
        )
    own_tensors(private, origin)
    return private


def _inline(model: ir.Model, origin: str) -> None:
    _check_calls(model, origin)
    domains = {function.domain for function in model.functions.values()}
    try:
        InlinePass()(model)
    except Exception as error:
        reason = one_line(error.__cause__ or error)
        raise InputError(
            f"{origin} has local functions that cannot be inlined: {reason}"
        ) from error
    model.functions.clear()  # what is left is called by nobody
    used = {node.domain for node in model.graph.all_nodes()}
    for domain in domains - used - {""}:
        model.opset_imports.pop(domain, None)


def _check_calls(model: ir.Model, origin: str) -> None:
    """Refuse functions that call themselves, or multiply: 40 that call the next one twice, 2^40."""
    sizes: dict[ir.OperatorIdentifier, int] = {}
    pending = [*model.functions]
    entered: set[ir.OperatorIdentifier] = set()
    while pending:
        name = pending[-1]
        nodes = [node.op_identifier() for node in model.functions[name].all_nodes()]
        missing = [n for n in nodes if n in model.functions and n not in sizes]
        if name not in sizes and missing:
            if entered.intersection(missing):
                raise InputError(f"{origin} has local functions that call themselves: {name[1]}")
            entered.add(name)
            pending.extend(missing)
            continue
        sizes[pending.pop()] = sum(sizes.get(n, 1) for n in nodes)
        entered.discard(name)
    total = sum(sizes.get(node.op_identifier(), 1) for node in model.graph.all_nodes())
    if total > _MOST_OPERATORS:
        raise InputError(
            f"{origin} has local functions that stand for {total:,} operators, more than "
            f"{_MOST_OPERATORS:,}: export it without functions"
        )


def _is_graphsurgeon(model: Any) -> bool:
    """Whether it is a Graph, without importing graphsurgeon to find out."""
    return any(
        kind.__name__ == "Graph" and kind.__module__.startswith("onnx_graphsurgeon.")
        for kind in type(model).__mro__
    )


def _graphsurgeon_proto(graph: Any) -> onnx.ModelProto:
    import onnx_graphsurgeon as gs

    with _own_import_domains(graph):
        try:
            return gs.export_onnx(graph)
        except Exception as error:
            raise InputError(
                f"the onnx_graphsurgeon.Graph cannot be exported: {one_line(error)}"
            ) from error


@contextmanager
def _own_import_domains(graph: Any) -> Iterator[None]:
    """Let the export add to lists of its own the domains that it finds missing."""
    holders = (graph, *graph.functions)
    before = [holder.import_domains for holder in holders]
    for holder, domains in zip(holders, before, strict=True):
        holder.import_domains = None if domains is None else list(domains)
    try:
        yield
    finally:
        for holder, domains in zip(holders, before, strict=True):
            holder.import_domains = domains


def to_graphsurgeon(model: ir.Model) -> Any:
    """An onnx_graphsurgeon.Graph of a model; what it does not hold is lost: see `to_ir`."""
    import onnx_graphsurgeon as gs

    graph = gs.import_onnx(ir.to_proto(model))
    tensors = graph.tensors()
    # The import drops inputs that have a default value.
    graph.inputs = [tensors[value.name] for value in model.graph.inputs]
    return graph
