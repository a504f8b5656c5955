"""Mends what runtimes read and what ONNX's own rules forbid, or older versions of it allow.

Afterwards the graphs have names, operators stand in order, the main domain has an opset, functions
have the model's, and the inputs of a graph are what the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import onnx
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.notes import add_notes

#: What torch calls the graphs that it writes.
_NAME = "main_graph"

#: From here on operands are broadcast as they are today.
OLDEST_OPSET = 7

#: Since then an initializer that is no input is one that the caller cannot override.
_CONSTANTS_SINCE = 4


def mend(model: ir.Model, origin: str) -> None:
    """Mend a model in place, and note what was done.

    Raises:
        InputError: operators wait for each other, or for what nothing makes: names them.
    """
    _require_all_made(model, origin)
    done = (
        _name_graphs(model),
        _sort(model, origin),
        _import_main_domain(model),
        _let_functions_import_the_same(model),
        _take_weights_from_inputs(model),
    )
    add_notes(model, tuple(note for note in done if note))


def schema_of(node: ir.Node, imports: dict[str, int]) -> onnx.defs.OpSchema | None:
    """What ONNX says of an operator at the opset of its domain; None: it is somebody else's."""
    try:
        return onnx.defs.get_schema(node.op_type, imports[node.domain], node.domain)
    except (KeyError, onnx.defs.SchemaError):
        return None


def _name_graphs(model: ir.Model) -> str:
    unnamed = [graph for graph in model.graphs() if not graph.name]
    for graph in unnamed:
        graph.name = _NAME if graph is model.graph else "body"
    return "a graph had no name and has one now" if unnamed else ""


def _require_all_made(model: ir.Model, origin: str) -> None:
    functions = [function.graph for function in model.functions.values()]
    for graph in (*model.graphs(), *functions, *(g for f in functions for g in f.subgraphs())):
        for value in (*graph.outputs, *(v for node in graph for v in node.inputs if v is not None)):
            if not (value.producer() or value.is_graph_input() or value.is_initializer()):
                raise InputError(
                    f"{origin} reads {value.name!r}, which nothing in it makes: export it again"
                )


def _sort(model: ir.Model, origin: str) -> str:
    """Each operator behind those that make what it reads; nothing moves where that is so."""
    graphs = [model.graph, *(function.graph for function in model.functions.values())]
    mixed = [graph for graph in graphs if not _is_sorted(graph, set())]
    for graph in mixed:
        for one in (graph, *graph.subgraphs()):
            _require_no_circle(one, origin)
        graph.sort()
    return "operators stood before those that they read, and are sorted now" if mixed else ""


def _is_sorted(graph: ir.Graph, seen: set[ir.Node]) -> bool:
    for node in graph:
        if not all(producer in seen for producer in _producers(node)):
            return False
        if not all(_is_sorted(body, seen) for body in _bodies(node)):
            return False
        seen.add(node)
    return True


def _require_no_circle(graph: ir.Graph, origin: str) -> None:
    inside = set(graph)
    read = {
        node: {
            producer
            for one in (node, *(n for body in _bodies(node) for n in body.all_nodes()))
            for producer in _producers(one)
            if producer in inside
        }
        for node in graph
    }
    try:
        TopologicalSorter(read).prepare()
    except CycleError as error:
        names = " -> ".join(repr(node_name(node)) for node in error.args[1][:8])
        raise InputError(
            f"{origin} has operators that wait for each other's results: {names}; export it again"
        ) from error


def _producers(node: ir.Node) -> Iterator[ir.Node]:
    for value in node.inputs:
        if value is not None and (producer := value.producer()) is not None:
            yield producer


def _bodies(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _import_main_domain(model: ir.Model) -> str:
    """Where other domains alone are imported, runtimes read ONNX's operators as the newest ones.

    The lowest opset is imported that means the same.
    """
    if "" in model.opset_imports or not model.opset_imports:
        return ""
    newest = {"": onnx.defs.onnx_opset_version()}
    nodes = [node for node in model.graph.all_nodes() if not node.domain]
    schemas = [schema for node in nodes if (schema := schema_of(node, newest)) is not None]
    opset = max((OLDEST_OPSET, *(schema.since_version for schema in schemas)))
    model.opset_imports[""] = opset
    if not nodes:
        return ""
    return f"no opset was declared for ONNX's operators: they are read and written as of {opset}"


def _let_functions_import_the_same(model: ir.Model) -> str:
    """Where a function's operators mean the same at the model's opset, as at its own."""
    changed = False
    for function in model.functions.values():
        for domain, opset in list(function.opset_imports.items()):
            there = model.opset_imports.get(domain, opset)
            nodes = [node for node in function.graph.all_nodes() if node.domain == domain]
            if there != opset and all(
                _since(node, {domain: opset}) == _since(node, {domain: there}) for node in nodes
            ):
                function.opset_imports[domain] = there
                changed = True
    return "local functions imported another opset, at which they mean the same" if changed else ""


def _since(node: ir.Node, imports: dict[str, int]) -> int:
    schema = schema_of(node, imports)
    return 0 if schema is None else int(schema.since_version)


def _take_weights_from_inputs(model: ir.Model) -> str:
    """Up to IR version 3 every initializer is listed as an input too, and is a constant."""
    version = model.ir_version
    if not version or version >= _CONSTANTS_SINCE:
        return ""
    model.graph.inputs[:] = [v for v in model.graph.inputs if not v.is_initializer()]
    model.ir_version = _CONSTANTS_SINCE
    return (
        f"IR version {version} lists weights as inputs: it is written as {_CONSTANTS_SINCE}, "
        f"which does not"
    )
