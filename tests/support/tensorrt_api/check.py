"""Holds every use of TensorRT in a folder of sources against one version of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.support.tensorrt_api.sources import parsed
from tests.support.tensorrt_api.surface import Surface
from tests.support.tensorrt_api.walk import Walker

_ROUNDS = 12
"""Rounds in which what is known of arguments and results spreads; five were enough so far."""


@dataclass(frozen=True, order=True)
class Absent:
    """A name that a table of options.py holds although a version does not have it."""

    owner: str
    name: str


@dataclass(frozen=True)
class Checked:
    """What came out.

    Attributes:
        problems: "build.py:93: ...", sorted.
        uses: names of TensorRT that were found in use, "IBuilderConfig.set_flag".
        absent: listed names that are indeed not there.
        guards: whether what ``hasattr`` asks for is there.
    """

    problems: tuple[str, ...]
    uses: frozenset[str]
    absent: frozenset[Absent]
    guards: Mapping[str, bool]


def check(texts: Mapping[str, str], surface: Surface, absent: Iterable[Absent] = ()) -> Checked:
    """Find the uses of TensorRT and look each of them up.

    What a name holds is followed from `library(...)`, which returns TensorRT itself, through
    assignments, calls from function to function, and the types that its docstrings give. A branch
    behind ``hasattr`` counts only in versions that have the name.

    Args:
        texts: of the files, by module name.
        surface: of the version.
        absent: names of tables that this version may lack.
    """
    walker = Walker(parsed(texts), surface, frozenset((one.owner, one.name) for one in absent))
    for _ in range(_ROUNDS):
        before = walker.knowledge()
        walker.walk()
        if walker.knowledge() == before:
            break
    else:
        raise AssertionError(f"still learning after {_ROUNDS} rounds")
    return Checked(
        problems=tuple(sorted(walker.problems)),
        uses=frozenset(walker.uses),
        absent=frozenset(Absent(*pair) for pair in walker.absent),
        guards=walker.guards,
    )
