"""Walks statements in their order, and keeps what each name holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.tensorrt_api.evaluate import Evaluator
from tests.support.tensorrt_api.facts import Scope
from tests.support.tensorrt_api.sources import FunctionNode, declared, is_decorated
from tests.support.tensorrt_api.values import (
    PLAIN,
    ClassOf,
    Function,
    ListOf,
    Method,
    OwnClass,
    OwnInstance,
    TupleOf,
    Value,
    joined,
    of_items,
)


class Walker(Evaluator):
    """One walk over all functions; several are needed until nothing new is learned."""

    def walk(self) -> None:
        self.problems.clear()
        self.local.clear()
        for (module, name), node in self.sources.functions.items():
            owner = name.rpartition(".")[0]
            this = OwnInstance(module, owner) if owner else None
            self._function(Scope(module, name), node, this)

    def knowledge(self) -> Any:
        return {key: repr(value) for key, value in self.learned.items()}

    def _function(self, scope: Scope, node: FunctionNode, this: Value | None) -> None:
        if self.only_in_dead_code(scope.module, scope.name):
            return
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if this is not None and arguments and not is_decorated(node, "staticmethod"):
            scope.names[arguments.pop(0).arg] = this
        for argument in arguments:
            told = self.learned.get((scope.module, scope.name, argument.arg), PLAIN)
            scope.names[argument.arg] = joined(declared(argument.annotation), told)
        for extra in filter(None, (node.args.vararg, node.args.kwarg)):
            scope.names[extra.arg] = PLAIN
        self._block(node.body, scope)

    def _block(self, statements: Sequence[ast.stmt], scope: Scope) -> bool:
        """Whether what follows the block is never reached from it."""
        for index, statement in enumerate(statements):
            if self._statement(statement, scope):
                self.dead(statements[index + 1 :])
                return True
        return False

    def _statement(self, node: ast.stmt, scope: Scope) -> bool:
        match node:
            case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
                for child in ast.iter_child_nodes(node):
                    value = self.value(child, scope)
                    if isinstance(node, ast.Return):
                        self.learn((scope.module, scope.name, "return"), value)
                return True
            case ast.Assign():
                value = self.value(node.value, scope)
                for target in node.targets:
                    self.assign(target, value, scope)
            case ast.AnnAssign():
                value = self.value(node.value, scope) if node.value else PLAIN
                self.assign(node.target, joined(declared(node.annotation), value), scope)
            case ast.If():
                return self._if(node, scope)
            case ast.For():
                self.assign(node.target, of_items(self.value(node.iter, scope)), scope)
                self._twice([*node.body, *node.orelse], scope)
            case ast.While():
                self.value(node.test, scope)
                self._twice([*node.body, *node.orelse], scope)
            case ast.With():
                return self._with(node, scope)
            case ast.Try():
                return self._try(node, scope)
            case ast.FunctionDef():
                inner = Scope(scope.module, f"{scope.name}.{node.name}", dict(scope.names))
                self.local[inner.module, inner.name] = node
                scope.names[node.name] = Function(inner.module, inner.name)
                self._function(inner, node, None)
            case ast.ClassDef():
                self._class(node, scope)
            case _:
                for child in ast.iter_child_nodes(node):
                    self.value(child, scope)
        return False

    def _if(self, node: ast.If, scope: Scope) -> bool:
        known = self.truth(node.test, scope)
        if known is None:
            one, other = scope.copy(), scope.copy()
            ends = self._block(node.body, one), self._block(node.orelse, other)
            scope.merge(*(s for s, end in zip((one, other), ends, strict=True) if not end))
            return all(ends)
        live, dead = (node.body, node.orelse) if known else (node.orelse, node.body)
        self.dead(dead)
        return self._block(live, scope)

    def _twice(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """The body of a loop, which may use what its end assigns; it may never run."""
        for _ in range(2):
            inner = scope.copy()
            self._block(body, inner)
            scope.merge(scope.copy(), inner)

    def _with(self, node: ast.With, scope: Scope) -> bool:
        for item in node.items:
            entered = self.value(item.context_expr, scope)
            if isinstance(entered, ListOf):  # a context manager of ours, written with yield
                entered = entered.item
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered, scope)
        return self._block(node.body, scope)

    def _try(self, node: ast.Try, scope: Scope) -> bool:
        before = scope.copy()
        ends = [self._block([*node.body, *node.orelse], scope)]
        scopes = [scope.copy()]
        for handler in node.handlers:
            inner = before.copy()
            if handler.name:
                inner.names[handler.name] = PLAIN
            ends.append(self._block(handler.body, inner))
            scopes.append(inner)
        scope.merge(*(s for s, end in zip(scopes, ends, strict=True) if not end))
        return self._block(node.finalbody, scope) or all(ends)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        """A class within a function, as those that derive from one of TensorRT are."""
        name = f"{scope.name}.{node.name}"
        bases = [self.value(base, scope) for base in node.bases]
        self.bases[scope.module, name] = tuple(b.name for b in bases if isinstance(b, ClassOf))
        scope.names[node.name] = OwnClass(scope.module, name)
        methods = {one.name: one for one in node.body if isinstance(one, FunctionNode)}
        for method in methods.values():
            self.local[scope.module, f"{name}.{method.name}"] = method
        for base in self.bases[scope.module, name]:
            self._overrides(base, node, methods, (scope.module, name))
        for title, method in methods.items():
            inner = Scope(scope.module, f"{name}.{title}", dict(scope.names))
            self._function(inner, method, OwnInstance(scope.module, name))

    def _overrides(
        self,
        base: str,
        node: ast.ClassDef,
        methods: dict[str, FunctionNode],
        key: tuple[str, str],
    ) -> None:
        """Each method of an interface is there, and takes what TensorRT will call it with."""
        for name, entry in self.surface.classes[base]["members"].items():
            if entry["kind"] != "method" or name.startswith("_"):
                continue
            if name not in methods:
                self.problem(key[0], node, f"{node.name} does not override {base}.{name}")
                continue
            self.uses.add(f"{base}.{name}")
            taken = [argument.arg for argument in methods[name].args.args]
            [signature, *_] = self.surface.signatures(Method(base, name, bound=False))
            given = [parameter.name for parameter in signature.parameters]
            if taken != given:
                wrong = f"{base}.{name} takes {', '.join(given)}, not {', '.join(taken)}"
                self.problem(key[0], methods[name], wrong)
            for parameter in signature.parameters[1:]:
                told = self.surface.parsed(parameter.type)
                self.learn((key[0], f"{key[1]}.{name}", parameter.name), told)

    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        match target:
            case ast.Name():
                scope.names[target.id] = value
            case ast.Attribute():
                self.assign_attribute(target, value, scope)
            case ast.Tuple() | ast.List():
                for part, item in zip(target.elts, _parts(value, len(target.elts)), strict=True):
                    self.assign(part, item, scope)
            case ast.Starred():
                self.assign(target.value, ListOf(value), scope)
            case _:
                self.value(target, scope)


def _parts(value: Value, count: int) -> Iterator[Value]:
    if isinstance(value, TupleOf) and len(value.items) == count:
        yield from value.items
    else:
        for _ in range(count):
            yield of_items(value)
