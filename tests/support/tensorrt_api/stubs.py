"""The types of one version of TensorRT, as pybind11-stubgen reads them from its bindings."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_PATCHES = (
    # Neither of these two is valid Python: an argument that is called "in", and in add_scale_nd an
    # argument without a default behind some that have one.
    (r"\bin: ", "in_: "),
    (r"\b(shift|scale|power): Weights = None(?=.* channel_axis: [\w.]+\))", r"\1: Weights"),
    # A constant trt.bool makes every "-> bool" unknown.
    (r"(?m)^bool: DataType\n", ""),
    # What newer bindings accept for a number; what they hand to our callbacks is the number itself.
    (r"typing\.SupportsInt", "int"),
    (r"typing\.SupportsFloat", "float"),
    # Dims is made of any sequence of numbers, and is one; bytes() takes an IHostMemory.
    (r": Dims(?=[,)])", ": collections.abc.Sequence[int]"),
    (r"class Dims:", "class Dims(collections.abc.Sequence[int]):"),
    (r"class IHostMemory:", "class IHostMemory(typing_extensions.Buffer):"),
    # A C++ name in the docstring.
    (r"(def get_error\(.*\) -> )\.\.\.", r"\1ParserError"),
    # Imports that the stub of 10.0 does without.
    (r"(?m)^import typing$", "import abc\nimport collections.abc\nimport typing"),
)
_CALLBACKS = re.compile(r"(?ms)^class (?:ILogger|IProfiler|IProgressMonitor):.*?(?=^class )")
"""Interfaces whose methods are for us to write, which the stub does not say."""


@dataclass(frozen=True)
class Stubs:
    """Of one version.

    Attributes:
        folder: where mypy finds ``tensorrt``.
        version: as ``tensorrt.__version__``.
        text: of the bindings.
    """

    folder: Path
    version: str
    text: str

    @cached_property
    def classes(self) -> Mapping[str, Mapping[str, list[ast.stmt]]]:
        """What defines each member, by class and name: one statement, or one an overload."""
        return {
            node.name: _members(node.body)
            for node in ast.parse(self.text).body
            if isinstance(node, ast.ClassDef)
        }

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that stands anywhere, of a class, a method, an attribute or a constant."""
        return frozenset(_members(ast.walk(ast.parse(self.text))))


def make_stubs(bindings: str, folder: Path, installed: Path | None = None) -> Stubs:
    """Write the stubs of one version. In a process of its own: two versions do not load into one.

    Args:
        bindings: the package, "tensorrt_bindings" or "tensorrt_rtx_bindings"; our sources import
            either as ``tensorrt``, see `check`.
        folder: for the stubs.
        installed: where the package lies; None: with the others.
    """
    env = {**os.environ, "PYTHONPATH": str(installed)} if installed else None
    command = [sys.executable, "-m", "pybind11_stubgen", bindings, "--output-dir", str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    file = folder / bindings / f"{bindings.removesuffix('_bindings')}.pyi"
    text = _mended(file.read_text())
    file.write_text(text)
    (folder / "tensorrt.pyi").write_text(
        f"from {bindings} import *\nfrom {bindings} import __version__ as __version__\n"
    )
    [version] = re.findall(r"__version__: str = '(.*)'", file.with_name("__init__.pyi").read_text())
    return Stubs(folder, version, text)


def _mended(text: str) -> str:
    for pattern, replacement in _PATCHES:
        text = re.sub(pattern, replacement, text)
    return _CALLBACKS.sub(
        lambda found: re.sub(r"(?m)^    (?=def [a-z])", "    @abc.abstractmethod\n    ", found[0]),
        text,
    )


def _members(nodes: Iterable[ast.AST]) -> dict[str, list[ast.stmt]]:
    found: dict[str, list[ast.stmt]] = {}
    for one in nodes:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            found.setdefault(one.name, []).append(one)
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            found.setdefault(one.target.id, []).append(one)
    return found
