"""Finds out what an expression is, and looks up each use of TensorRT in it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from tests.support.tensorrt_api.calls import check_call
from tests.support.tensorrt_api.facts import GraphFacts, Scope
from tests.support.tensorrt_api.sources import fields
from tests.support.tensorrt_api.values import (
    MODULE,
    PLAIN,
    ClassOf,
    DictOf,
    Function,
    Instance,
    ListOf,
    Method,
    Mixed,
    Module,
    OwnClass,
    OwnInstance,
    Plain,
    TableEntry,
    TupleOf,
    Unknown,
    Value,
    joined,
    of_items,
)

ROOT = ("flavor", "library")
"""The function that returns TensorRT."""

_BY_STRING = ("__dict__", "__getattribute__", "attrgetter", "methodcaller", "vars", "eval", "exec")
_KEEPING = ("list", "tuple", "sorted", "reversed", "iter", "set")


class Evaluator(GraphFacts):
    """Expressions; statements are the walker's."""

    def truth(self, test: ast.expr, scope: Scope) -> bool | None:
        """What a test is for this version, where it asks ``hasattr``; None: it may be either."""
        match test:
            case ast.UnaryOp(op=ast.Not()):
                inner = self.truth(test.operand, scope)
                return None if inner is None else not inner
            case ast.Call(func=ast.Name(id="hasattr"), args=[of, ast.Constant(value=str(name))]):
                owner = self.value(of, scope)
                if isinstance(owner, Module | ClassOf | Instance):
                    there = self.member(owner, name) is not None
                    title = "TensorRT" if isinstance(owner, Module) else owner.name
                    self.guards[f"{title}.{name}"] = there
                    return there
                if isinstance(owner, Unknown | Mixed):
                    self.untold(of, scope)
                return None
            case ast.BoolOp():
                ends_at = isinstance(test.op, ast.Or)
                found = []
                for part in test.values:
                    found.append(self.truth(part, scope))
                    if found[-1] is ends_at:
                        return ends_at
                return None if None in found else not ends_at
        self.value(test, scope)
        return None

    def value(self, node: ast.AST, scope: Scope) -> Value:
        match node:
            case ast.Name():
                return self._name(node.id, scope)
            case ast.Attribute():
                return self._attribute(node, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.IfExp():
                known = self.truth(node.test, scope)
                parts = {None: [node.body, node.orelse], True: [node.body], False: [node.orelse]}
                self.dead([p for p in (node.body, node.orelse) if p not in parts[known]])
                return self._any_of(parts[known], scope)
            case ast.BoolOp():
                self.truth(node, scope)
                return self._any_of(node.values, scope)
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.List() | ast.Set():
                return ListOf(self._any_of(node.elts, scope))
            case ast.Tuple():
                if any(isinstance(item, ast.Starred) for item in node.elts):
                    return ListOf(self._any_of(node.elts, scope))
                return TupleOf(tuple(self.value(item, scope) for item in node.elts))
            case ast.Dict():
                for key in filter(None, node.keys):
                    self.value(key, scope)
                return DictOf(self._any_of(node.values, scope))
            case ast.Starred():
                return of_items(self.value(node.value, scope))
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return ListOf(self.value(node.elt, self._comprehended(node.generators, scope)))
            case ast.DictComp():
                inner = self._comprehended(node.generators, scope)
                self.value(node.key, inner)
                return DictOf(self.value(node.value, inner))
            case ast.Lambda():
                inner = scope.copy()
                for argument in node.args.args:
                    inner.names[argument.arg] = PLAIN
                return self.value(node.body, inner) and PLAIN
            case ast.NamedExpr():
                scope.names[node.target.id] = self.value(node.value, scope)
                return scope.names[node.target.id]
            case ast.Yield():
                given = self.value(node.value, scope) if node.value else PLAIN
                self.learn((scope.module, scope.name, "return"), ListOf(given))
                return PLAIN
        for child in ast.iter_child_nodes(node):
            self.value(child, scope)
        return PLAIN

    def _any_of(self, nodes: Sequence[ast.AST], scope: Scope) -> Value:
        found: Value = PLAIN
        for node in nodes:
            found = joined(found, self.value(node, scope))
        return found

    def _comprehended(self, generators: Sequence[ast.comprehension], scope: Scope) -> Scope:
        inner = scope.copy()
        for generator in generators:
            self.assign(generator.target, of_items(self.value(generator.iter, inner)), inner)
            for test in generator.ifs:
                self.value(test, inner)
        return inner

    def _name(self, name: str, scope: Scope) -> Value:
        if name in scope.names:
            return scope.names[name]
        return self._defined(scope.module, name)

    def _defined(self, module: str, name: str) -> Value:
        found = self.sources.found(module, name)
        if found in self.sources.functions:
            return Function(*found)
        if found in self.sources.classes:
            return OwnClass(*found)
        if found and found[1] in self.sources.tables:
            return DictOf(TableEntry(found[1]))
        return PLAIN

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        owner = self.value(node.value, scope)
        if node.attr in _BY_STRING and not isinstance(owner, Plain):
            self.problem(scope.module, node, f"{node.attr} looks names up by strings")
        if isinstance(owner, Module | ClassOf | Instance):
            found = self.member(owner, node.attr)
            if found is None:
                title = "TensorRT" if isinstance(owner, Module) else owner.name
                wrong = f"{title} {self.surface.version} has no {node.attr}"
                self.problem(scope.module, node, wrong)
                return PLAIN
            return found
        if isinstance(owner, Unknown | Mixed):
            self.untold(node.value, scope)
        if isinstance(owner, OwnInstance):
            return self.own(owner, node.attr)
        if isinstance(owner, DictOf) and node.attr in ("items", "values", "get", "pop"):
            return _DICT_CALLS[node.attr](owner)
        return PLAIN

    def assign(self, target: ast.expr, value: Value, scope: Scope) -> None:
        raise NotImplementedError

    def assign_attribute(self, target: ast.Attribute, value: Value, scope: Scope) -> None:
        owner = self.value(target.value, scope)
        if isinstance(owner, OwnInstance):
            self.learn((owner.module, owner.name, target.attr), value)
        elif isinstance(owner, Instance):
            self.set_property(owner, target.attr, value, target, scope)
        elif isinstance(owner, Unknown | Mixed):
            self.untold(target.value, scope)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        owner = self.value(node.value, scope)
        self.value(node.slice, scope)
        if isinstance(node.slice, ast.Slice):
            return owner
        if isinstance(owner, TupleOf) and isinstance(node.slice, ast.Constant):
            return owner.items[node.slice.value]
        if isinstance(owner, DictOf):
            return owner.item
        if isinstance(owner, Instance):
            method = self.member(owner, "__getitem__")
            if not isinstance(method, Method):
                self.problem(scope.module, node, f"{owner.name} has no index")
                return PLAIN
            return self.surface.parsed(self.surface.signatures(method)[0].returns)
        return of_items(owner)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "getattr" and name not in scope.names:
            return self._getattr(node, scope)
        if name == "setattr" and name not in scope.names:
            return self._setattr(node, scope)
        if name == "hasattr":
            self.truth(node, scope)
            return PLAIN
        called = self.value(node.func, scope)
        spread = any(isinstance(one, ast.Starred) for one in node.args)
        positional = [self.value(one, scope) for one in node.args]
        keywords = {one.arg: self.value(one.value, scope) for one in node.keywords}
        if name in _BY_STRING and not all(isinstance(one, Plain) for one in positional):
            self.problem(scope.module, node, f"{name} looks names up by strings")
        if isinstance(called, ClassOf):
            made = Method(called.name, "__init__", bound=True)
            if spread or None in keywords:
                self.problem(scope.module, node, f"{called.name}: arguments are not shown")
            self._checked(made, positional, keywords, node, scope)
            return Instance(called.name)
        if isinstance(called, Method):
            if spread or None in keywords:
                self.problem(scope.module, node, f"{called.name}: arguments are not shown")
                return PLAIN
            return self._checked(called, positional, keywords, node, scope)
        if isinstance(called, Function):
            return self._call_function(called, positional, keywords)
        if isinstance(called, OwnClass):
            return self._construct(called, positional, keywords)
        if positional and isinstance(positional[0], Method):
            # partial(method, ...), pool.submit(method, ...): called later with what follows.
            return self._checked(positional[0], positional[1:], keywords, node, scope) and PLAIN
        if isinstance(called, ListOf | DictOf | TupleOf):  # items() and the like of a dictionary
            return called.item if isinstance(called, DictOf) else called
        if name in _KEEPING and positional:
            return ListOf(of_items(positional[0]))
        if name == "enumerate" and positional:
            return ListOf(TupleOf((PLAIN, of_items(positional[0]))))
        if name == "zip":
            return ListOf(TupleOf(tuple(map(of_items, positional))))
        return called if isinstance(called, Unknown | Mixed) else PLAIN

    def _checked(
        self,
        called: Method,
        positional: Sequence[Value],
        keywords: dict[str | None, Value],
        node: ast.Call,
        scope: Scope,
    ) -> Value:
        given = [self._as_base(one) for one in positional]
        named = {key or "": self._as_base(one) for key, one in keywords.items()}
        value, wrong = check_call(self.surface, called, given, named)
        if wrong:
            self.problem(scope.module, node, f"{wrong} (TensorRT {self.surface.version})")
        return value

    def _as_base(self, value: Value) -> Value:
        """An object of a class that derives from one of TensorRT stands for one of that."""
        if isinstance(value, OwnInstance):
            bases = self.bases.get((value.module, value.name), ())
            return Instance(bases[0]) if bases else PLAIN
        return value

    def _call_function(
        self, called: Function, positional: Sequence[Value], keywords: dict[str | None, Value]
    ) -> Value:
        key = (called.module, called.name)
        self.called.add(".".join(key))
        if key == ROOT:
            return MODULE
        node = self.sources.functions.get(key) or self.local[key]
        names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
        names = names[1:] if called.bound else names
        given = dict(zip(names, positional, strict=False))
        given |= {name: value for name, value in keywords.items() if name}
        for name, value in given.items():
            self.learn((*key, name), value)
        return self.returned(called, node)

    def _construct(
        self, called: OwnClass, positional: Sequence[Value], keywords: dict[str | None, Value]
    ) -> Value:
        key = (called.module, f"{called.name}.__init__")
        if key in self.sources.functions or key in self.local:
            self._call_function(Function(*key, bound=True), positional, keywords)
        elif (called.module, called.name) in self.sources.classes:
            node = self.sources.classes[called.module, called.name]
            names = [one.target.id for one in fields(node) if isinstance(one.target, ast.Name)]
            given = dict(zip(names, positional, strict=False))
            given |= {name: value for name, value in keywords.items() if name}
            for name, value in given.items():
                self.learn((called.module, called.name, name), value)
        return OwnInstance(called.module, called.name)

    def _getattr(self, node: ast.Call, scope: Scope) -> Value:
        owner, name = (self.value(one, scope) for one in node.args[:2])
        if isinstance(owner, Unknown | Mixed):
            self.untold(node.args[0], scope)
        if not isinstance(owner, Module | ClassOf | Instance):
            return PLAIN
        if not isinstance(name, TableEntry):
            self.problem(scope.module, node, "a name is looked up that is in no table of options")
            return PLAIN
        title = "TensorRT" if isinstance(owner, Module) else owner.name
        found: Value = PLAIN
        for member in self.sources.tables[name.table]:
            value = self.member(owner, member)
            if value is not None:
                found = value
            elif (title, member) in self.listed:
                self.absent.add((title, member))
            else:
                wrong = f"{title} {self.surface.version} has no {member}, which {name.table} holds"
                self.problem(scope.module, node, wrong)
        return found

    def _setattr(self, node: ast.Call, scope: Scope) -> Value:
        owner, _, value = (self.value(one, scope) for one in node.args)
        name = node.args[1]
        if isinstance(owner, Instance) and isinstance(name, ast.Constant):
            self.set_property(owner, str(name.value), value, node, scope)
        elif not isinstance(owner, Plain):
            self.problem(scope.module, node, "setattr without a name that is written out")
        return PLAIN


_DICT_CALLS = {
    "items": lambda owner: ListOf(TupleOf((PLAIN, owner.item))),
    "values": lambda owner: ListOf(owner.item),
    "get": lambda owner: DictOf(owner.item),
    "pop": lambda owner: DictOf(owner.item),
}
"""What calling the method of a dictionary gives; see the end of `Evaluator._call`."""
