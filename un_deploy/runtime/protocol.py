"""What the rest of the package asks of a runtime: load a graph, feed it, fetch any tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import onnx_ir

from un_deploy.graph.model.input_specs import Feeds, TensorSpec

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

        Raises:
            InputError: an input is missing or unfit, or the run fails.
        """
        ...


@runtime_checkable
class Recognises(Protocol):
    """A session that runs some operators together, as one call, where it recognises them."""

    def recognised(self, feeds: Feeds) -> Mapping[str, int]:
        """How many of each kind it has found in the graph.

        Raises:
            InputError: an input is missing or unfit.
        """
        ...


@runtime_checkable
class KeepsFiles(Protocol):
    """A session that has logs and files of its own."""

    def keep_files(self, feeds: Feeds, folder: Path) -> None:
        """Run once more, and keep what the run writes in a folder, which is made.

        Raises:
            InputError: an input is missing or unfit, or it does not load.
        """
        ...

    def keep_log(self, folder: Path) -> None:
        """Keep the log of the last run, however that ended, in a folder, which is made."""
        ...


class Runtime(Protocol):
    """Something that runs ONNX graphs."""

    @property
    def name(self) -> str:
        """As messages call it."""
        ...

    def load(self, model: onnx_ir.Model | Path) -> Session:
        """Prepare a model, which is not changed, or an ONNX file, which is opened where it lies.

        Raises:
            InputError: the file cannot be read, or the runtime refuses the model.
        """
        ...


@runtime_checkable
class TakesPlans(Protocol):
    """A runtime that runs TensorRT plans as well."""

    def load_plan(self, path: Path) -> Session:
        """Load a plan that has its manifest beside it, in the precision that it was built in.

        Raises:
            MissingPackageError: what runs it is not installed.
            InputError: plan or manifest cannot be read, differ, or are of another flavour or
                version.
        """
        ...


@runtime_checkable
class DescribesItself(Protocol):
    """A runtime of which a report must say more than its name."""

    def title(self) -> str:
        """Its name and version, and where it lies.

        Raises:
            InputError: it is not there, or not known.
            MissingPackageError: it is not installed.
        """
        ...

    def describe(self) -> str:
        """Its version, and how it times.

        Raises:
            InputError: it is not there, or not known.
            MissingPackageError: it is not installed.
        """
        ...
