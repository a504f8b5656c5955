"""Arguments are held against their annotations, and a wrong one is named in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from un_deploy.arguments.check import at_least, check, checked
from un_deploy.errors import InputError


@dataclass(frozen=True)
class Box:
    """An option with a field."""

    sizes: tuple[int, ...]
    name: str | None = None


def _told(one: object) -> str:
    """An id that is the same in every process: no address in it."""
    return str(one).partition(" at 0x")[0][:40]


RIGHT = [
    (3, int),
    (np.int64(3), int),
    (3, float),
    (np.float32(0.5), float),
    (None, int | None),
    ("a", str | os.PathLike[str]),
    (Path("a"), str | os.PathLike[str]),
    (["a", "b"], Collection[str]),
    ({"a"}, Collection[str]),
    ({"a": 1}, Mapping[str, int]),
    ([1, 2], tuple[int, ...]),
    ("fp16", Literal["fp16", "bf16"] | None),
    ((x for x in "ab"), Iterable[Any]),
    (print, Callable[[str], None]),
    (object(), Any),
    ([{"x": Box((1,))}], Sequence[Mapping[str, Box]]),
    ("all", int | Literal["all"]),
]


@pytest.mark.parametrize(("value", "kind"), RIGHT, ids=_told)
def test_what_is_allowed(value: object, kind: Any) -> None:
    check(value, kind, "it")


WRONG = [
    ("3", int, "it must be an int, not '3'"),
    (True, int, "it must be an int, not True"),
    (1, bool, "it must be a bool, not 1"),
    (None, str | os.PathLike[str], "it must be a str or a path, not None"),
    ("norm1", Collection[str], "it must be a list of str, not 'norm1'"),
    (["a", 3], Collection[str], "it[1] must be a str, not 3"),
    ({"a": "b"}, Mapping[str, int], "it['a'] must be an int, not 'b'"),
    ({3: 3}, Mapping[str, int], "a key of it must be a str, not 3"),
    ([("a", 1)], Mapping[str, int] | None, "it must be a dict of str to int or None, not a list"),
    ("fp8", Literal["fp16", "bf16"] | None, "it must be 'fp16' or 'bf16' or None, not 'fp8'"),
    (3, Callable[[str], None], "it must be a callable, not 3"),
    (int, Box, "it must be a Box, not the class int"),
    (Box("ab"), Box, "it.sizes must be a tuple of int, not 'ab'"),  # type: ignore[arg-type]
    (
        [{"x": Box((1, None))}],  # type: ignore[arg-type]
        Sequence[Mapping[str, Box]],
        "it[0]['x'].sizes[1] must be an int, not None",
    ),
    ("a\0b", str, r"it holds a null character: 'a\x00b'"),
]


@pytest.mark.parametrize(("value", "kind", "message"), WRONG, ids=[one[2] for one in WRONG])
def test_what_is_not(value: object, kind: Any, message: str) -> None:
    with pytest.raises(InputError) as raised:
        check(value, kind, "it")
    assert str(raised.value) == message


def test_a_function_says_which_argument() -> None:
    @checked
    def double(number: int, *, times: int = 2) -> int:
        return number * times

    assert double(4) == 8
    with pytest.raises(InputError, match=r"^times must be an int, not None$"):
        double(4, times=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'time'"):
        double(4, time=3)  # type: ignore[call-arg]


def test_keys_that_are_given_as_arguments() -> None:
    @checked
    def timed(
        *,
        weights: Mapping[Literal["ln", "bn"], str] | None = None,
        files: Mapping[Literal["ln", "un"], str] | None = None,
    ) -> int:
        return len(files or {}) + len(weights or {})

    assert timed(files={"ln": "a.onnx"}) == 1
    with pytest.raises(
        InputError, match=r"^un is a key and no argument: give files={'un': \.\.\.}$"
    ):
        timed(un="a.onnx")  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"give weights={'ln': \.\.\.} or files={'ln': \.\.\.}$"):
        timed(ln="a.onnx")  # type: ignore[call-arg]
    both = r"^ln and un are keys and no arguments: give files={'ln': \.\.\., 'un': \.\.\.}$"
    with pytest.raises(InputError, match=both):
        timed(ln="a.onnx", un="b.onnx")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        timed(ln="a.onnx", dyt="b.onnx")  # type: ignore[call-arg]


def test_numbers_that_are_too_small() -> None:
    at_least(1, builds=1, threads=None)
    with pytest.raises(InputError, match=r"^rounds must be at least 2, not 1$"):
        at_least(2, rounds=1)
