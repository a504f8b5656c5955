"""What an operator is called: its name, and the module that it was exported from."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from itertools import pairwise

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_NAMESPACE = "namespace"


def node_name(node: ir.Node) -> str:
    """The node's name, or without one its first output's."""
    return node.name or str(node.outputs[0].name)


def names_of(nodes: Iterable[ir.Node]) -> set[str]:
    """All names by which a user may mean these operators: their own and their first outputs'."""
    return {name for node in nodes for name in (node.name, node.outputs[0].name) if name}


def unique_name(stem: str, taken: set[str | None]) -> str:
    """The stem, or the first of stem_2, stem_3, ... that is not taken; it is taken from now on."""
    name, count = stem, 1
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    taken.add(name)
    return name


def label_of(node: ir.Node) -> str:
    """The module path, such as ``blocks.0.norm1``, or the operator's name where none is told.

    The dynamo exporter writes scopes into the node's metadata, the TorchScript exporter into its
    name (``/blocks.0/norm1/Mul``), where a Sequential stands before its part's whole path
    (``/blocks/blocks.0/norm1/Mul``).
    """
    scopes = [scope for scope in _listed(node, _SCOPES) if scope]
    if len(scopes) >= 2:
        return scopes[-2]  # the last one is the operation itself
    name = node_name(node)
    *parts, _ = scopes = name.strip("/").split("/")
    if not parts or not name.startswith("/"):
        return name
    return ".".join(p for p, after in pairwise(scopes) if not after.startswith(f"{p}."))


def scopes_of(node: ir.Node) -> list[str]:
    """The modules that the dynamo exporter says an operator came from, from the outermost in; the
    last entry is the operation, and the network itself is ``""``."""
    return _listed(node, _SCOPES)


def rename_scopes(node: ir.Node, names: Mapping[str, str]) -> None:
    """Call the modules in an operator's metadata by other names; those not named stay as they are.

    Args:
        names: the dynamo exporter's name -> the one to write.
    """
    *modules, operation = scopes_of(node) or [""]
    if names.keys().isdisjoint(modules):
        return
    told = node.metadata_props
    told[_SCOPES] = repr([*(names.get(one, one) for one in modules), operation])
    if _NAMESPACE in told:  # the same with the classes: "name: class/name: class"
        text = f"/{told[_NAMESPACE]}"
        for name in modules:
            text = text.replace(f"/{name}: ", f"/{names.get(name, name)}: ", 1)
        told[_NAMESPACE] = text[1:]


def class_of(node: ir.Node) -> str | None:
    """The qualified class of the module that the operator came from, if the file tells."""
    classes = [entry for entry in _listed(node, _CLASSES) if entry]
    return classes[-2] if len(classes) >= 2 else None


def _listed(node: ir.Node, key: str) -> list[str]:
    try:
        parsed = ast.literal_eval(node.metadata_props.get(key, "[]"))
    except (SyntaxError, ValueError):
        return []
    return [str(entry) for entry in parsed] if isinstance(parsed, list) else []
