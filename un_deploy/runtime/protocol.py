"""What the rest of the package asks of a runtime: load a graph, feed it, fetch any tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import onnx_ir

from un_deploy.graph.model.signature import Feeds, TensorSpec

Timer = Callable[[int], float]
"""Seconds that this many runs take, one right after the other."""


class Session(Protocol):
    """A loaded graph."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What must be fed."""
        ...

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run once.

        Args:
            feeds: one array for every one of ``inputs``.
            fetch: names of tensors of the main graph, outputs or inner ones; None: the
                graph's outputs. Fetching an inner tensor may cost a second loading, and keeps
                the runtime from fusing it away.

        Raises:
            InputError: an input is missing or unfit, a tensor is not there, the run fails.
        """
        ...

    def timer(self, feeds: Feeds) -> Timer:
        """Bind inputs for timing, and run once. Moving inputs and outputs is not timed.

        Args:
            feeds: one array for every one of ``inputs``.

        Raises:
            InputError: an input is missing or unfit, or the run fails.
        """
        ...


class Runtime(Protocol):
    """Something that runs ONNX graphs."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    def load(self, model: onnx_ir.Model) -> Session:
        """Prepare a graph for running; the model itself is not changed.

        Raises:
            InputError: the runtime refuses the model.
        """
        ...
