"""What is known of an expression: which object of TensorRT it is, or what holds one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plain:
    """Of Python or another library: nothing to check."""


@dataclass(frozen=True)
class Unknown:
    """Declared as Any, and nothing shows what it is: using it is an error."""


@dataclass(frozen=True)
class Mixed:
    """Now one thing, now another: the check cannot follow it, so using it is an error."""


@dataclass(frozen=True)
class Module:
    """TensorRT itself."""


@dataclass(frozen=True)
class ClassOf:
    """A class of TensorRT, an enumeration among them."""

    name: str


@dataclass(frozen=True)
class Instance:
    """An object of such a class."""

    name: str


@dataclass(frozen=True)
class Method:
    """A function or method of TensorRT.

    Attributes:
        owner: its class; None: a function of the module.
        name: "__init__" where a class is called.
        bound: whether ``self`` is there.
    """

    owner: str | None
    name: str
    bound: bool


@dataclass(frozen=True)
class ListOf:
    """Anything that is iterated or indexed by position, all items alike."""

    item: Value


@dataclass(frozen=True)
class DictOf:
    """A dictionary, all values alike."""

    item: Value


@dataclass(frozen=True)
class TupleOf:
    """A tuple of known length."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class TableEntry:
    """A name of TensorRT looked up in a table of options.py."""

    table: str


@dataclass(frozen=True)
class Function:
    """A function of the sources, by module and qualified name; bound: ``self`` is there."""

    module: str
    name: str
    bound: bool = False


@dataclass(frozen=True)
class OwnClass:
    """A class of the sources."""

    module: str
    name: str


@dataclass(frozen=True)
class OwnInstance:
    """An object of one."""

    module: str
    name: str


Value = (
    Plain
    | Unknown
    | Mixed
    | Module
    | ClassOf
    | Instance
    | Method
    | ListOf
    | DictOf
    | TupleOf
    | TableEntry
    | Function
    | OwnClass
    | OwnInstance
)

PLAIN, UNKNOWN, MIXED, MODULE = Plain(), Unknown(), Mixed(), Module()


def joined(one: Value, other: Value) -> Value:
    """What an expression is that is sometimes the one and sometimes the other, such as None."""
    if one == other:
        return one
    for vague in (PLAIN, UNKNOWN):  # what is declared as Any stays unknown beside a plain value
        if vague in (one, other):
            return other if one == vague else one
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        return ListOf(joined(one.item, other.item))
    if isinstance(one, DictOf) and isinstance(other, DictOf):
        return DictOf(joined(one.item, other.item))
    if isinstance(one, TupleOf) and isinstance(other, TupleOf):
        if len(one.items) != len(other.items):
            return MIXED
        pairs = zip(one.items, other.items, strict=True)
        return TupleOf(tuple(joined(*pair) for pair in pairs))
    return MIXED


def of_items(container: Value) -> Value:
    """What iterating gives."""
    if isinstance(container, ListOf):
        return container.item
    if isinstance(container, TupleOf) and container.items:
        found = container.items[0]
        for item in container.items[1:]:
            found = joined(found, item)
        return found
    return container if isinstance(container, Unknown | Mixed) else PLAIN
