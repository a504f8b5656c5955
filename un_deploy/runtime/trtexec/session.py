"""A loaded network in trtexec: one engine, and every sample is a run of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from un_deploy.engines.building.config import as_trtexec_flags
from un_deploy.engines.building.from_graph import PreparedGraph
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.kernels.inspected import kernels_of
from un_deploy.engines.kernels.layer_info import layers_named
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds, TensorSpec, input_specs
from un_deploy.runtime.how_it_ran import HowItRan, together
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.trtexec.exit_status import without_numbers
from un_deploy.runtime.trtexec.output_file import parse_output
from un_deploy.runtime.trtexec.result import TrtexecResult
from un_deploy.runtime.trtexec.run_trtexec import LOG, Trtexec

OUTPUT, BUILD_LOG = "output.json", "build.log"

WITHOUT_GRAPH = "without its CUDA graph, whose capture failed"

DETAILED = "--profilingVerbosity=detailed"
"""Without it the inspector tells the names of layers alone."""


class TrtexecSession(ABC):
    """See `un_deploy.runtime.protocol.Session`."""

    def __init__(self, inputs: tuple[TensorSpec, ...], trtexec: Trtexec) -> None:
        self.inputs = inputs
        self._trtexec = trtexec
        self._made = TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True)
        self._folder = Path(self._made.name).resolve()
        self._told = HowItRan()

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`; inner tensors cannot be fetched."""
        path = self._folder / OUTPUT
        path.unlink(missing_ok=True)
        engine = self._engine(feeds)
        flags = (*self._flags(feeds), "--iterations=1", "--duration=0", f"--exportOutput={path}")
        self._ran(engine=engine, flags=flags).require_passed()
        try:
            outputs = parse_output(path.read_text(encoding="utf-8", errors="backslashreplace"))
        except OSError as error:
            raise InputError("trtexec passed but wrote no outputs") from error
        missing = set(fetch or ()) - outputs.keys()
        if missing:
            raise InputError(f"trtexec gives no tensor {', '.join(sorted(missing))}")
        return {name: outputs[name] for name in (outputs if fetch is None else fetch)}

    def timer(self, feeds: Feeds) -> Timer:
        """See `un_deploy.runtime.protocol.Session`: time on the device, without transfers."""
        engine = self._engine(feeds)
        flags = self._flags(feeds)

        def seconds(runs: int) -> float:
            asked = (*flags, f"--iterations={runs}", "--duration=0")
            result = self._ran(engine=engine, flags=asked)
            return float(np.median(result.compute_s)) * runs

        return seconds

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """See `un_deploy.runtime.layer_times.TellsLayers`; trtexec decides itself how to warm up.

        Its profile has the median of each layer, and nothing of single runs.
        """
        engine = self._engine(feeds)
        flags = (*self._flags(feeds), DETAILED, f"--iterations={runs}", "--duration=0")
        result = self._ran(engine=engine, flags=flags, profile=True, layers=True).require_passed()
        if result.profile is None or result.layers is None:
            raise InputError("trtexec passed but told nothing of its layers")
        times = result.profile.layers
        layers = layers_named((one.name for one in times), result.layers)
        return tuple(
            TimedLayer(layer.name, layer.kind, layer.onnx_nodes, (one.median_s or 0.0,))
            for layer, one in zip(layers, times, strict=True)
        )

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`."""
        return RunMemory(None, "trtexec writes no memory into its files")

    def how_it_ran(self) -> HowItRan:
        """See `un_deploy.runtime.how_it_ran.TellsHowItRan`."""
        return self._told

    def keep_files(self, feeds: Feeds, folder: Path) -> None:
        """See `un_deploy.runtime.protocol.KeepsFiles`; trtexec runs as it runs by itself.

        The folder is given trtexec's log and its files of times, profile and layers;
        ``result.json``, which says how it was called and ended, whatever that is; and
        ``build.log`` of an engine that was built here.

        Raises:
            InputError: an input is missing or unfit, or the engine cannot be built.
        """
        folder.mkdir(parents=True)
        engine = self._engine(feeds)
        flags = (*self._flags(feeds), DETAILED)
        result = self._trtexec.run(folder, engine=engine, flags=flags, profile=True, layers=True)
        (folder / "result.json").write_text(result.to_json())
        if (built := self._folder / BUILD_LOG).is_file():
            copyfile(built, folder / BUILD_LOG)

    def keep_log(self, folder: Path) -> None:
        """See `un_deploy.runtime.protocol.KeepsFiles`."""
        if (log := self._folder / LOG).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            copyfile(log, folder / LOG)

    def _ran(self, **asked: Any) -> TrtexecResult:
        """A run whose files are the session's and go with it, so no error may point to its log."""
        result = self._trtexec.run(self._folder, **asked, force=True)
        otherwise = WITHOUT_GRAPH if result.without_graph else ""
        self._tell(HowItRan(result.warnings, result.doubts, otherwise))
        return replace(result, log=None)

    def _tell(self, told: HowItRan) -> None:
        """Add what is new: of warnings that differ in their numbers alone the first is enough."""
        known = {without_numbers(text) for text in self._told.warnings}
        new = tuple(text for text in told.warnings if without_numbers(text) not in known)
        self._told = together((self._told, replace(told, warnings=new)))

    @abstractmethod
    def _engine(self, feeds: Feeds) -> Path:
        """The plan for inputs of these shapes."""

    def _flags(self, feeds: Feeds) -> tuple[str, ...]:
        """Shapes, and the inputs as files of raw numbers."""
        loaded = []
        for number, spec in enumerate(self.inputs):
            if spec.name not in feeds:
                raise InputError(f"there is no data for the input {spec.name}")
            path = self._folder / f"input_{number}.bin"
            path.write_bytes(np.ascontiguousarray(feeds[spec.name], dtype=spec.dtype).tobytes())
            loaded.append(f"{spec.name}:{path}")
        shapes = {name: tuple(array.shape) for name, array in feeds.items()}
        return (f"--loadInputs={','.join(loaded)}", *self._shapes(shapes))

    def _shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
        """Flags that name the shapes of a run; trtexec takes none where all sizes are fixed."""
        return []


class BuiltSession(TrtexecSession):
    """Builds an engine of a graph, which has its precision, for the shapes of the first inputs."""

    def __init__(self, graph: PreparedGraph, trtexec: Trtexec, options: BuildOptions) -> None:
        super().__init__(input_specs(graph.model), trtexec)
        self._graph, self._options = graph, options
        self._told = HowItRan(graph.notes)
        self._built_for: dict[str, tuple[int, ...]] = {}

    def _engine(self, feeds: Feeds) -> Path:
        """Raises InputError as well where the engine computes in another type than was asked."""
        plan = self._folder / "model.plan"
        shapes = {name: tuple(array.shape) for name, array in feeds.items()}
        if shapes == self._built_for:
            return plan
        graph = self._graph.with_shapes(shapes)
        flags = ["--stronglyTyped", "--skipInference", DETAILED, *as_trtexec_flags(self._options)]
        result = self._ran(onnx=graph.saved(), save_engine=plan, flags=flags, layers=True)
        result.require_passed()
        types = graph.check_types(() if result.layers is None else kernels_of(result.layers.layers))
        if types is not None:
            warnings = (types.untold,) if types.untold else ()
            self._tell(HowItRan(warnings, types=(types.told,)))
        (self._folder / LOG).replace(self._folder / BUILD_LOG)  # the next run has a log as well
        self._built_for = shapes
        return plan
