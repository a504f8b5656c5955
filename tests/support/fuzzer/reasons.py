"""Every reason that a fold may give, read from its source, and those that a report tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from un_deploy.graph import fold
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.fold.rules import rules

_ROOM = Path(str(fold.__file__)).parent
_BLANK = "{}"
#: Names of what holds a reason, where it is no argument of a Refuse.
_HOLDERS = {"reason", "where", "refusals", "pinned", "_SHIFT_STAYS"}
#: Where functions return reasons as text.
_RETURNING = ("sites", "solving")
_RETURNING_FUNCTIONS = ("stays",)
_IN_RULE = re.compile(
    r"(?:forward|backward): [^:]+? \((\w+)\): (.*?)(?=\)?$|; backward: |; its |; shor)"
)

_Function = ast.FunctionDef | None


@dataclass(frozen=True, order=True)
class Reason:
    """One reason, with a blank for each number and name.

    Attributes:
        file: where it is given, such as ``rules/pad``.
        text: with ``{}`` for what differs from time to time.
        operators: those whose rule gives it; any where there are none.
    """

    file: str
    text: str
    operators: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def name(self) -> str:
        """As results call it."""
        return f"{self.file}: {self.text.replace(_BLANK, '_')}"

    def is_told(self, text: str) -> bool:
        """Whether a report's text tells it."""
        if not self.operators:
            return self._form.search(text) is not None
        told = _IN_RULE.findall(text)
        return any(op in self.operators and self._form.fullmatch(said) for op, said in told)

    @property
    def _form(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.text).replace(re.escape(_BLANK), ".+?"))


def told(report: FoldReport) -> Iterator[Reason]:
    """The reasons in a report, each once for each norm."""
    for text in (*(one.reason for one in report.sites), *(m.reason for m in report.near_misses)):
        if text:
            yield from (reason for reason in reasons() if reason.is_told(text))


@cache
def reasons() -> tuple[Reason, ...]:
    """All of them, by file."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(_ROOM.rglob("*.py"))}
    calls = [
        (path, node) for path, tree in trees.items() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]  # fmt: skip
    found: dict[Reason, None] = {}
    for path, tree in trees.items():
        for function, given in _given(path, tree):
            for text, parameter in _texts(given, function):
                if parameter is None:
                    found[_reason(path, text)] = None
                    continue
                place, name = parameter
                for where, call in calls:
                    if call.func.id == name and len(call.args) > place:  # type: ignore[attr-defined]
                        for said, _ in _texts(call.args[place], None):
                            found[_reason(where, text.replace("{why}", said))] = None
    return tuple(sorted(one for one in found if re.search("[a-z]{3}", one.text)))


def _reason(path: Path, text: str) -> Reason:
    return Reason(
        path.relative_to(_ROOM).with_suffix("").as_posix(), text, _operators().get(path.stem, _ANY)
    )


_ANY: frozenset[str] = frozenset()


@cache
def _operators() -> Mapping[str, frozenset[str]]:
    """Those of the rule in each file."""
    return {type(rule).__module__.rpartition(".")[2]: frozenset(rule.ops) for rule in rules()}


def _given(path: Path, tree: ast.Module) -> Iterator[tuple[_Function, ast.expr]]:
    """What is given as a reason, and the function in which it is."""
    pending: list[tuple[_Function, ast.AST]] = [(None, tree)]
    while pending:
        function, node = pending.pop(0)
        function = node if isinstance(node, ast.FunctionDef) else function
        pending += [(function, child) for child in ast.iter_child_nodes(node)]
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Refuse":
            yield function, node.args[0]
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if _HOLDERS & set(re.findall(r"\w+", ast.unparse(target))):
                yield function, node.value
        elif isinstance(node, ast.Return) and node.value is not None and function is not None:
            gives = ast.unparse(function.returns) if function.returns else ""
            where = path.parent.name in _RETURNING or function.name in _RETURNING_FUNCTIONS
            if where and "str" in gives.split(" | "):
                yield function, node.value


def _texts(node: ast.expr, function: _Function) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """The texts that an expression may be.

    With each come the place and the function of the parameter that is a part of it, which then is
    called {why}.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value, None
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body, function), *_texts(node.orelse, function))
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value, function)
    elif isinstance(node, ast.JoinedStr):
        names = [argument.arg for argument in function.args.args] if function else []
        text, parameter = "", None
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
                continue
            name = ast.unparse(part.value) if isinstance(part, ast.FormattedValue) else ""
            if name in ("why", "what") and name in names and function is not None:
                parameter = names.index(name), function.name
                text += "{why}"
            else:
                text += _BLANK
        yield text, parameter
