"""A session of any runtime that opens a file and has ``run(names, feeds)``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import onnx
import onnx_ir

from un_deploy.errors import InputError, UnDeployError, one_line
from un_deploy.graph.model.input_specs import Feeds, TensorSpec, input_specs, tensor_names
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.model.tensor_storage import forget_weights
from un_deploy.runtime.protocol import Timer


class Engine(Protocol):
    """What a runtime's library gives for a file."""

    def run(self, output_names: Any, feed_inputs: Any, /) -> Any:
        """Arrays in the order of the names."""
        ...


def model_of(source: onnx_ir.Model | Path) -> onnx_ir.Model:
    """The model itself, or that of a file.

    Raises:
        InputError: see `un_deploy.graph.model.model_file.load_model`.
    """
    return load_model(source) if isinstance(source, Path) else source


@contextmanager
def opened(source: onnx_ir.Model | Path) -> Iterator[Path]:
    """An ONNX file while the block lasts: the one there is, else one that is written for it.

    What is written has its weights beside it, since a protobuf ends at 2 GB.
    """
    if isinstance(source, Path):
        yield source
        return
    with TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True) as folder:
        path = Path(folder).resolve() / "model.onnx"
        onnx_ir.save(source, path, external_data="weights")
        yield path


class FileSession:
    """See `un_deploy.runtime.protocol.Session`.

    Args:
        source: a model, which stays as it is, or the path of an ONNX file.
        runtime: its name, for messages.
        open_file: loads an ``.onnx`` file, which may be gone when it has returned.
        timer_of: a timer for a library's engine, outputs and feeds; None: one that calls ``run``.
    """

    def __init__(
        self,
        source: onnx_ir.Model | Path,
        runtime: str,
        open_file: Callable[[Path], Engine],
        timer_of: Callable[[Any, list[str], Feeds], Timer] | None = None,
    ) -> None:
        model = model_of(source)
        self.inputs: tuple[TensorSpec, ...] = input_specs(model)
        self._source, self._names = source, tensor_names(model.graph)
        self._runtime = runtime
        self._open_file = open_file
        self._timer_of = timer_of or _calling_run
        self._outputs = [value.name or "" for value in model.graph.outputs]
        if isinstance(source, Path):  # else they stay in memory beside the library's own
            forget_weights(model)
        self._engine: Engine | None = self._load(self._outputs)

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`."""
        names = list(self._outputs if fetch is None else fetch)
        if not names:  # which the libraries take for all outputs
            return {}
        engine = self._engine
        if engine is None or not self._fetchable.issuperset(names):
            engine = self._engine = self._load([*self._outputs, *names])
        return dict(zip(names, run_engine(engine, self._runtime, names, feeds), strict=True))

    def timer(self, feeds: Feeds) -> Timer:
        """See `un_deploy.runtime.protocol.Session`."""
        self.run(feeds)
        assert self._engine is not None  # it has just run
        return self._timer_of(self._engine, self._outputs, dict(feeds))

    def release(self) -> None:
        """Let go of what the library holds; the next run loads it again."""
        self._engine = None

    def _load(self, fetch: list[str]) -> Engine:
        """Load the graph with the tensors named as its outputs; inner ones ask for a file more."""
        missing = set(fetch) - self._names
        if missing:
            raise InputError(f"the graph has no tensor {', '.join(sorted(missing))}")
        inner = [name for name in dict.fromkeys(fetch) if name not in self._outputs]
        with opened(model_of(self._source) if inner else self._source) as path:
            if inner:
                proto = onnx.load(path, load_external_data=False)
                proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
                onnx.save(proto, path)
            try:
                engine = self._open_file(path)
            except UnDeployError:
                raise
            except Exception as error:
                text = one_line(error)
                raise InputError(f"{self._runtime} cannot load the graph: {text}") from error
        self._fetchable = set(fetch)
        return engine


def run_engine(engine: Engine, runtime: str, names: list[str] | None, feeds: Feeds) -> Any:
    """Arrays in the order of the names, or of the outputs; `runtime`: its name, for messages.

    Raises:
        InputError: an input is missing or unfit, or the run fails.
    """
    try:
        return engine.run(names, dict(feeds))
    except Exception as error:  # the libraries' exceptions share no base class
        raise InputError(f"{runtime} cannot run the graph: {one_line(error)}") from error


def _calling_run(engine: Engine, outputs: list[str], feeds: Feeds) -> Timer:
    def seconds(runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            engine.run(outputs, feeds)
        return time.perf_counter() - start

    return seconds
