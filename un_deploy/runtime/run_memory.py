"""What a run holds in memory, told by every runtime that can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from un_deploy.graph.model.input_specs import Feeds


@dataclass(frozen=True)
class RunMemory:
    """The most that one run holds at once, beside weights and inputs.

    Runtimes count different things, so two figures compare only where `what` is the same.

    Attributes:
        bytes: of the device that computes; None: it is not told.
        what: what was counted, and by whom; or why nothing was.
    """

    bytes: int | None
    what: str


@runtime_checkable
class TellsMemory(Protocol):
    """A session that can tell what its runs hold."""

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """Run a few times on these inputs, and look.

        Raises:
            InputError: an input is missing or unfit, or the run fails.
        """
        ...
