"""The Python files of a folder, and where their names lead."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tensorrt_api.values import PLAIN, UNKNOWN, DictOf, ListOf, TupleOf, Value

PACKAGE = "un_deploy.runtime.tensorrt"
TABLES = "options"
"""The one file whose dictionaries may name what is looked up by a string."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Sources:
    """Parsed files.

    Attributes:
        modules: by name, without the package.
        functions, classes: by module and qualified name.
        imports: what a name of a module is: another module and a name in it, or "" for itself.
        tables: names of TensorRT by the table of options.py that holds them.
    """

    modules: dict[str, ast.Module]
    functions: dict[tuple[str, str], FunctionNode] = field(default_factory=dict)
    classes: dict[tuple[str, str], ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    tables: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, tree in self.modules.items():
            self.imports[name] = {}
            for node in tree.body:
                self._declare(name, node)
        for node in self.modules[TABLES].body:
            self._table(node)

    def _declare(self, module: str, node: ast.stmt) -> None:
        if isinstance(node, FunctionNode):
            self.functions[module, node.name] = node
        elif isinstance(node, ast.ClassDef):
            self.classes[module, node.name] = node
            for inner in node.body:
                if isinstance(inner, FunctionNode):
                    self.functions[module, f"{node.name}.{inner.name}"] = inner
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            origin = (node.module or "").removeprefix(PACKAGE).removeprefix(".")
            for alias in node.names:
                target = (origin, alias.name) if origin else (alias.name, "")
                self.imports[module][alias.asname or alias.name] = target

    def _table(self, node: ast.stmt) -> None:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
            return
        values = [one.value for one in node.value.values if isinstance(one, ast.Constant)]
        name = node.targets[0]
        if isinstance(name, ast.Name) and all(isinstance(value, str) for value in values):
            self.tables[name.id] = tuple(map(str, values))

    def found(self, module: str, name: str) -> tuple[str, str] | None:
        """Where a name is defined: module and name, through imports; None: not in these files."""
        if (module, name) in self.functions or (module, name) in self.classes:
            return module, name
        if module == TABLES and name in self.tables:
            return module, name
        origin = self.imports[module].get(name)
        if origin is None or origin[0] not in self.modules:
            return None
        return origin if not origin[1] else self.found(*origin)


def read(folder: Path) -> dict[str, str]:
    """The text of each file of a folder, by module name."""
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.py"))}


def parsed(texts: Mapping[str, str]) -> Sources:
    return Sources({name: ast.parse(text) for name, text in texts.items()})


def declared(annotation: ast.expr | None) -> Value:
    """What an annotation tells: Any is unknown, a container of Any holds unknowns."""
    if annotation is None:
        return PLAIN
    text = ast.unparse(annotation).strip("'\"")
    if text == "Any" or text in ("Any | None", "None | Any"):
        return UNKNOWN
    if "Any" not in text or not isinstance(annotation, ast.Subscript):
        return PLAIN
    outer = ast.unparse(annotation.value)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if outer in ("Sequence", "list", "Iterable", "Iterator"):
        return ListOf(declared(inner[0]))
    if outer in ("Mapping", "dict"):
        return DictOf(declared(inner[-1]))
    if outer == "tuple":
        if isinstance(inner[-1], ast.Constant):  # tuple[Any, ...]
            return ListOf(declared(inner[0]))
        return TupleOf(tuple(map(declared, inner)))
    return PLAIN


def fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    """The fields of a dataclass, in order."""
    return [one for one in node.body if isinstance(one, ast.AnnAssign)]


def is_decorated(node: FunctionNode, *names: str) -> bool:
    return any(ast.unparse(one).rpartition(".")[2] in names for one in node.decorator_list)
