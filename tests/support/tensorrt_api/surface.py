"""The names, signatures and types of one version of TensorRT, read from its docstrings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.tensorrt_api.values import (
    PLAIN,
    ClassOf,
    DictOf,
    Instance,
    ListOf,
    Method,
    TupleOf,
    Value,
)

_OPEN, _CLOSE = "([{<", ")]}>"


@dataclass(frozen=True)
class Parameter:
    """Of a signature; one named arg0, arg1, ... has no name that a caller could use."""

    name: str
    type: str
    required: bool

    @property
    def is_named(self) -> bool:
        return not re.fullmatch(r"arg\d+", self.name)


@dataclass(frozen=True)
class Signature:
    """One overload."""

    parameters: tuple[Parameter, ...]
    returns: str


@dataclass(frozen=True)
class Surface:
    """What a version has."""

    version: str
    names: Mapping[str, Any]
    classes: Mapping[str, Any]

    def entry(self, owner: str | None, name: str) -> Mapping[str, Any] | None:
        """A name of a class, or of the module where owner is None; None: it is not there."""
        names = self.names if owner is None else self.classes[owner]["members"]
        found: Mapping[str, Any] | None = names.get(name)
        return found

    def value(self, owner: str | None, name: str, *, bound: bool) -> Value | None:
        """What an attribute is; None: it is not there."""
        entry = self.entry(owner, name)
        if entry is None:
            return None
        if entry["kind"] == "class":
            return ClassOf(entry["type"])
        if entry["kind"] == "method":
            return Method(owner, name, bound)
        if name == "__members__":
            return DictOf(Instance(owner or ""))
        return self.parsed(entry["type"])

    def signatures(self, method: Method) -> tuple[Signature, ...]:
        """All overloads, without ``self`` where it is bound."""
        entry = self.entry(method.owner, method.name)
        assert entry is not None
        found = [_signature(text) for text in entry["signatures"]]
        if method.bound:
            found = [Signature(one.parameters[1:], one.returns) for one in found]
        return tuple(found)

    def parsed(self, text: str) -> Value:
        """What a type written in a docstring is, ``list[tensorrt_bindings.tensorrt.Dims]``."""
        outer, bracket, inner = text.strip().partition("[")
        name = re.split(r"::|\.", outer)[-1]
        if bracket:
            items = [self.parsed(part) for part in _split(inner.removesuffix("]"))]
            if name in ("List", "list", "Sequence"):
                return ListOf(items[0])
            if name in ("Tuple", "tuple"):
                return TupleOf(tuple(items))
            return next((item for item in items if item != PLAIN), PLAIN)
        # C++ names stay where a class was bound after the function that returns it.
        dotted = outer.rpartition("tensorrt.")[2].rpartition("tensorrt_rtx.")[2]
        for known in (dotted, name, name.removeprefix("I")):
            if known in self.classes:
                return Instance(known)
        return PLAIN

    def is_a(self, name: str, base: str) -> bool:
        return base in self.classes[name]["bases"]


def load(module: str, folder: Path | None = None) -> Surface:
    """Describe a module of TensorRT in a process of its own.

    Args:
        module: "tensorrt" or "tensorrt_rtx".
        folder: where it lies; None: it is installed.
    """
    script = Path(__file__).with_name("describe.py")
    env = {**os.environ, "PYTHONPATH": str(folder)} if folder else None
    done = subprocess.run(
        [sys.executable, str(script), module], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return Surface(found["version"], found["names"], found["classes"])


def _signature(text: str) -> Signature:
    """``name(self: T, a: T = <X.Y: 0>) -> R``."""
    start = text.index("(")
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            break
    returns = text[end + 1 :].partition("->")[2].strip()
    parts = [part for part in _split(text[start + 1 : end]) if part not in ("/", "*")]
    return Signature(tuple(map(_parameter, parts)), returns)


def _parameter(text: str) -> Parameter:
    declared, equals, _ = text.partition("=")
    name, _, kind = declared.partition(":")
    return Parameter(name.strip(), kind.strip(), not equals and not text.startswith("*"))


def _split(text: str) -> list[str]:
    """At the commas that are in no bracket."""
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        elif character in _CLOSE and text[index - 1 : index] != "-":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()] if text.strip() else []
