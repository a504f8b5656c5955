"""Holds what a public function is given against its annotations, before it starts.

The annotations are what says which kinds an argument may have; here they are read, so that a wrong
one is named in one line and not met by whatever reads it first. What has to be opened to be judged,
such as a model or an array, is judged where it is opened.
"""

from __future__ import annotations

import inspect
import os
import reprlib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

_UNTOLD = (Any, object, inspect.Parameter.empty)
_UNIONS = (typing.Union, types.UnionType)


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check a function's arguments when it is called.

    An annotation that cannot be read, since its module is imported for type checkers alone, is
    for the function to check.

    Raises:
        InputError: from the function: names the argument, what it takes, and what it was given;
            or says of which argument what was given is a key.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with suppress(TypeError):  # of a wrong name or number, which Python says better itself
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                check(value, _kinds(function).get(name, Any), argument(name))
        _refuse_keys([name for name in kwargs if name not in signature.parameters], function)
        return function(*args, **kwargs)

    return call


def _refuse_keys(stray: Sequence[str], function: Callable[..., Any]) -> None:
    """Say where keys belong that were given as arguments: ``ln="a.onnx"``.

    Raises:
        InputError: a parameter is a mapping that has all of them.
    """
    each = ", ".join(f"{name!r}: ..." for name in stray)
    places = [
        f"{place}={{{each}}}"
        for place, kind in _kinds(function).items()
        for one in _one_by_one(kind)
        if {*stray} <= {*_keys(one)}
    ]
    if stray and places:
        what = "is a key and no argument" if len(stray) == 1 else "are keys and no arguments"
        raise InputError(f"{' and '.join(stray)} {what}: give {' or '.join(places)}")


def _keys(kind: Any) -> tuple[Any, ...]:
    """The keys that a mapping may have, where its annotation lists them."""
    origin, inner = get_origin(kind), get_args(kind)
    if not (isinstance(origin, type) and issubclass(origin, Mapping) and inner):
        return ()
    return get_args(inner[0]) if get_origin(inner[0]) is Literal else ()


def check(value: object, kind: Any, place: str) -> None:
    """Refuse a value that an annotation does not allow, at any depth.

    Args:
        place: what the message calls it, such as ``dims['batch']``.

    Raises:
        InputError: it is not of that kind.
    """
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{place} holds a null character: {reprlib.repr(value)}")
    kinds = [*_one_by_one(kind)]
    if any(one in _UNTOLD or isinstance(one, TypeVar) for one in kinds):
        return None
    outside = [one for one in kinds if _is(value, one)]
    if not outside:
        raise InputError(f"{place} must be {_in_words(kinds)}, not {shown(value)}")
    for one in outside[:-1]:
        try:
            return _check_parts(value, one, place)
        except InputError:
            continue
    return _check_parts(value, outside[-1], place)


def at_least(least: int, **given: float | None) -> None:
    """Refuse numbers that are too small; None is none.

    Raises:
        InputError: names the first, and the least that it may be.
    """
    for name, value in given.items():
        if value is not None and not value >= least:
            raise InputError(f"{argument(name)} must be at least {least}, not {value}")


def _check_parts(value: Any, kind: Any, place: str) -> None:
    """What is in a mapping, a sequence or a dataclass."""
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        for one in fields(kind):
            check(getattr(value, one.name), _kinds(kind)[one.name], f"{place}.{one.name}")
    elif origin in (Callable, Literal) or not inner:
        return
    elif issubclass(origin, Mapping):
        for key, part in value.items():
            check(key, inner[0], f"a key of {place}")
            check(part, inner[1], f"{place}[{reprlib.repr(key)}]")
    elif issubclass(origin, Collection):
        for number, part in enumerate(value):
            check(part, inner[0], f"{place}[{number}]" if isinstance(value, Sequence) else place)


def _is(value: object, kind: Any) -> bool:
    """Whether a value is of a kind, whatever is in it."""
    origin = get_origin(kind) or kind
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(kind))
    if origin is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if origin is tuple:  # a list does as well
        return isinstance(value, (tuple, list))
    if origin in (Collection, Sequence, Iterable):
        return isinstance(value, origin) and not isinstance(value, (str, bytes, Mapping))
    return isinstance(value, origin)


def _in_words(kinds: Sequence[Any]) -> str:
    return " or ".join(dict.fromkeys(map(_one_in_words, kinds)))


def _one_in_words(kind: Any) -> str:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is types.NoneType:
        return "None"
    if origin is os.PathLike:
        return "a path"
    if origin is Callable:
        return "a callable"
    if isinstance(origin, type) and issubclass(origin, Mapping) and inner:
        of = f" to {_plain(inner[1])}" if inner[1] is not Any else ""
        return f"a dict of {_plain(inner[0])}{of}"
    if origin is Iterable:
        return "an iterable"
    if isinstance(origin, type) and issubclass(origin, Iterable) and inner:
        if inner[0] is Any:
            return f"a {'tuple' if origin is tuple else 'list'}"
        return (
            f"a list of {_plain(inner[0])}"
            if origin is not tuple
            else f"a tuple of {_plain(inner[0])}"
        )
    return _a(getattr(origin, "__name__", str(origin)))


def _plain(kind: Any) -> str:
    """Without the article, for what is in a list."""
    told = [_one_in_words(one) for one in _one_by_one(kind)]
    return " or ".join(one.removeprefix("an ").removeprefix("a ") for one in told)


def shown(value: object) -> str:
    """What was given, as a message has it: a number or a text itself, of other things the kind."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return reprlib.repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return _a(type(value).__name__)


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def _one_by_one(kind: Any) -> Iterator[Any]:
    """The kinds of a union, flat; of Any among them nothing is known."""
    if get_origin(kind) in _UNIONS:
        for one in get_args(kind):
            yield from _one_by_one(one)
    else:
        yield types.NoneType if kind is None else kind


@cache
def _kinds(owner: Any) -> dict[str, Any]:
    """The annotations of a function's parameters, or of a dataclass's fields."""
    module = inspect.getmodule(owner)
    known = {**vars(typing), **vars(module)} if module else {}
    return {name: _read(one, known) for name, one in inspect.get_annotations(owner).items()}


def _read(annotation: Any, known: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, known)
    except NameError:
        return Any
