"""Prints the public names of a module of TensorRT as JSON. Run in a process of its own.

    PYTHONPATH=FOLDER python describe.py tensorrt

Two versions of the bindings do not load into one process, and a wrong stub would end it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from types import ModuleType
from typing import Any

_OVERLOAD = re.compile(r"^\d+\. (\w+\(.*)$", re.MULTILINE)


def described(module: ModuleType) -> dict[str, Any]:
    """Version, names and classes of a module."""
    names = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    classes: dict[str, Any] = {}
    for value in names.values():
        if inspect.isclass(value):
            _describe_class(value, classes)
    return {
        "version": module.__version__,
        "names": {
            **{name: _described(value, name) for name, value in names.items()},
            "__version__": {"kind": "property", "type": "str", "settable": False},
        },
        "classes": classes,
    }


def _describe_class(found: type, classes: dict[str, Any]) -> None:
    name = found.__qualname__
    if name in classes:
        return
    members = {}
    for member in dir(found):
        if member.startswith("_") and member not in ("__init__", "__members__", "__getitem__"):
            continue
        value = inspect.getattr_static(found, member)
        members[member] = _described(value, member)
        if inspect.isclass(value):
            _describe_class(value, classes)
    bases = [base.__qualname__ for base in found.__mro__ if base.__module__ != "builtins"]
    classes[name] = {"bases": bases, "enum": hasattr(found, "__members__"), "members": members}


def _described(value: Any, name: str) -> dict[str, Any]:
    if inspect.isclass(value):
        return {"kind": "class", "type": value.__qualname__}
    if isinstance(value, property):
        getter = (value.fget.__doc__ or "") if value.fget else ""
        kind = getter.rpartition("-> ")[2].strip()
        return {"kind": "property", "type": kind, "settable": value.fset is not None}
    if isinstance(value, staticmethod):
        value = value.__func__
    if callable(value):
        return {"kind": "method", "signatures": _signatures(value, name)}
    return {"kind": "value", "type": type(value).__qualname__}


def _signatures(function: Any, name: str) -> list[str]:
    """As pybind11 writes them into the docstring; of a function of Python its own."""
    text = (function.__doc__ or "").strip()
    if "Overloaded function." in text:
        return _OVERLOAD.findall(text)
    first = text.partition("\n")[0]
    if first.startswith(f"{name}("):
        return [first]
    if inspect.isfunction(function):
        return [f"{name}{inspect.signature(function)}"]
    return []


if __name__ == "__main__":
    json.dump(described(importlib.import_module(sys.argv[1])), sys.stdout)
