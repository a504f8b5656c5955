"""What a session's library told of its runs: warnings, and whether it ran as it was told to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class HowItRan:
    """What was told of one run or of several.

    Attributes:
        warnings: of the library, each once.
        doubts: of the times, to stand beside a ratio: "unstable", "bound by enqueue time".
        otherwise: how it ran where that is not how it was told to, such as "without its CUDA
            graph, whose capture failed": its times compare with none. "": as it was told to.
        types: of the engines that were built: of how many products they show the type.
    """

    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    otherwise: str = ""
    types: tuple[str, ...] = ()


@runtime_checkable
class TellsHowItRan(Protocol):
    """A session whose library warns."""

    def how_it_ran(self) -> HowItRan:
        """What was told of all that the session did so far, loading and building included."""
        ...


def together(told: Iterable[HowItRan]) -> HowItRan:
    """Of several runs: what was told of one was told."""
    told = tuple(told)
    return HowItRan(
        warnings=tuple(dict.fromkeys(text for one in told for text in one.warnings)),
        doubts=tuple(dict.fromkeys(doubt for one in told for doubt in one.doubts)),
        otherwise=next((one.otherwise for one in told if one.otherwise), ""),
        types=tuple(dict.fromkeys(types for one in told for types in one.types)),
    )
