"""Attributes of a node, with their defaults."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from un_deploy.errors import InputError


def attribute(node: ir.Node, name: str, default: Any = None) -> Any:
    """The attribute's value, or the default where it is absent."""
    found = node.attributes.get(name)
    if found is None:
        return default
    return list(found.value) if isinstance(found.value, tuple) else found.value


def only(node: ir.Node, name: str, *allowed: Any) -> Any:
    """An attribute of which some values are supported; the first of them is the default.

    Raises:
        InputError: it has another value.
    """
    value = attribute(node, name, allowed[0])
    if value not in allowed:
        raise InputError(f"the attribute {name} = {value!r} is not supported")
    return value
