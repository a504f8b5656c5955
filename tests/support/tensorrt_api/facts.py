"""What a walk finds out: what was learned, which names were used, and what is wrong."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.tensorrt_api.calls import fits
from tests.support.tensorrt_api.sources import (
    FunctionNode,
    Sources,
    declared,
    fields,
    is_decorated,
)
from tests.support.tensorrt_api.surface import Surface
from tests.support.tensorrt_api.values import (
    PLAIN,
    ClassOf,
    Function,
    Instance,
    Module,
    OwnInstance,
    Value,
    joined,
)


@dataclass
class Scope:
    """The names of a function that is being walked."""

    module: str
    name: str
    names: dict[str, Value] = field(default_factory=dict)

    def copy(self) -> Scope:
        return Scope(self.module, self.name, dict(self.names))

    def merge(self, *branches: Scope) -> None:
        for branch in branches:
            for name, value in branch.names.items():
                known = [b.names[name] for b in branches if name in b.names]
                for other in known:
                    value = joined(value, other)
                self.names[name] = value


class GraphFacts:
    """Of one version and one set of sources; what was learned stays from walk to walk."""

    def __init__(
        self, sources: Sources, surface: Surface, absent: frozenset[tuple[str, str]]
    ) -> None:
        self.sources, self.surface, self.listed = sources, surface, absent
        self.problems: set[str] = set()
        self.uses: set[str] = set()
        self.absent: set[tuple[str, str]] = set()
        self.guards: dict[str, bool] = {}
        self.learned: dict[tuple[str, str, str], Value] = {}
        self.bases: dict[tuple[str, str], tuple[str, ...]] = {}
        self.local: dict[tuple[str, str], FunctionNode] = {}
        self.called: set[str] = set()
        self._dead: set[str] = set()

    def problem(self, module: str, node: ast.AST, text: str) -> None:
        self.problems.add(f"{module}.py:{node.lineno}: {text}")  # type: ignore[attr-defined]

    def learn(self, key: tuple[str, str, str], value: Value) -> None:
        """An argument, a result or an attribute was seen to be this."""
        self.learned[key] = joined(self.learned.get(key, PLAIN), value)

    def dead(self, statements: Sequence[ast.AST]) -> None:
        """Code that this version never reaches: what only it calls is not reached either."""
        for statement in statements:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name | ast.Attribute):
                    self._dead.add(node.id if isinstance(node, ast.Name) else node.attr)

    def only_in_dead_code(self, module: str, name: str) -> bool:
        last = name.rpartition(".")[2]
        return last in self._dead and f"{module}.{name}" not in self.called

    def member(self, owner: Module | ClassOf | Instance, name: str) -> Value | None:
        """A name of TensorRT that is used; None: this version does not have it."""
        title = None if isinstance(owner, Module) else owner.name
        found = self.surface.value(title, name, bound=isinstance(owner, Instance))
        if found is not None:
            self.uses.add(f"{title}.{name}" if title else name)
        return found

    def own(self, owner: OwnInstance, name: str) -> Value:
        """An attribute or method of a class of the sources, or of what it derives from."""
        key = (owner.module, f"{owner.name}.{name}")
        method = self.sources.functions.get(key) or self.local.get(key)
        if method is not None:
            if is_decorated(method, "property", "cached_property"):
                self.called.add(".".join(key))
                return self.returned(Function(*key), method)
            return Function(*key, bound=not is_decorated(method, "staticmethod"))
        for base in self.bases.get((owner.module, owner.name), ()):
            found = self.member(Instance(base), name)
            if found is not None:
                return found
        known = self.learned.get((owner.module, owner.name, name), PLAIN)
        node = self.sources.classes.get((owner.module, owner.name))
        for one in fields(node) if node else ():
            if isinstance(one.target, ast.Name) and one.target.id == name:
                known = joined(declared(one.annotation), known)
        return known

    def untold(self, node: ast.AST, scope: Scope) -> None:
        """Something is done with an object of which nothing is known."""
        self.problem(scope.module, node, f"nothing shows what {ast.unparse(node)} is")

    def set_property(
        self, owner: Instance, name: str, value: Value, node: ast.AST, scope: Scope
    ) -> None:
        """Look up an assignment to an attribute."""
        entry = self.surface.entry(owner.name, name)
        if entry is None:
            wrong = f"{owner.name} {self.surface.version} has no {name}"
            self.problem(scope.module, node, wrong)
            return
        self.uses.add(f"{owner.name}.{name}")
        if entry["kind"] != "property" or not entry["settable"]:
            self.problem(scope.module, node, f"{owner.name}.{name} cannot be set")
            return
        wanted = self.surface.parsed(entry["type"])
        if not fits(self.surface, value, wanted):
            self.problem(scope.module, node, f"{owner.name}.{name} is of {wanted}, not {value}")

    def returned(self, called: Function, node: FunctionNode) -> Value:
        """What a function of the sources gives, as far as it is known by now."""
        known = self.learned.get((called.module, called.name, "return"), PLAIN)
        return joined(declared(node.returns), known)
