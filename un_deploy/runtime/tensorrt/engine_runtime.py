"""An engine of a graph as a runtime: built for the shapes of the first inputs, in a precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from un_deploy.engines.building.from_graph import PreparedGraph, engine_of, prepare
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.flavor import TITLES, Flavor, described
from un_deploy.engines.plan.load import deserialized
from un_deploy.graph.model.input_specs import Feeds, TensorSpec, input_specs
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.how_it_ran import HowItRan, together
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.session import model_of
from un_deploy.runtime.tensorrt.plan_runtime import Mode, PlanRuntime, PlanSession


@dataclass(frozen=True)
class EngineRuntime:
    """See `un_deploy.runtime.protocol.Runtime`. Untested on hardware.

    The engines' precision is decided in the graph; None: the graph's own types. For the mode see
    `PlanRuntime`. `tf32`: whether their products of fp32 may be computed in TF32.
    """

    flavor: Flavor
    precision: Precision | None = "fp32"
    mode: Mode = "cuda-graph"
    tf32: bool = True

    @property
    def name(self) -> str:
        """As messages call it."""
        return TITLES[self.flavor]

    def title(self) -> str:
        """See `un_deploy.runtime.protocol.DescribesItself`."""
        return f"{described(self.flavor)} through Python"

    def describe(self) -> str:
        """See `un_deploy.runtime.protocol.DescribesItself`."""
        how = {"enqueue": "every run enqueued", "cuda-graph": "captured as a CUDA graph"}[self.mode]
        return (
            f"{self.title()} ({how}, CUDA events on the device, no transfers), untested on hardware"
        )

    def load(self, model: ir.Model | Path) -> EngineSession:
        """See `un_deploy.runtime.protocol.Runtime`.

        Raises:
            InputError: a weight does not fit the precision.
        """
        return EngineSession(prepare(model_of(model), self.precision), self)

    def load_plan(self, path: Path) -> PlanSession:
        """See `un_deploy.runtime.protocol.TakesPlans`."""
        return PlanRuntime(mode=self.mode).load_plan(path)


class EngineSession:
    """See `un_deploy.runtime.protocol.Session`.

    Every call raises InputError where an engine cannot be built of the graph, or computes in
    another type than that of the runtime's precision.
    """

    def __init__(self, graph: PreparedGraph, runtime: EngineRuntime) -> None:
        self.inputs: tuple[TensorSpec, ...] = input_specs(graph.model)
        self._graph = graph
        self._runtime = runtime
        self._built: tuple[dict[str, tuple[int, ...]], PlanSession] | None = None
        self._told = HowItRan(graph.notes)

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`; an engine gives its outputs alone."""
        return self._session(feeds).run(feeds, fetch)

    def timer(self, feeds: Feeds) -> Timer:
        """See `un_deploy.runtime.protocol.Session`."""
        return self._session(feeds).timer(feeds)

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """See `un_deploy.runtime.layer_times.TellsLayers`."""
        return self._session(feeds).layer_times(feeds, runs, warm_up)

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`."""
        return self._session(feeds).run_memory(feeds)

    def how_it_ran(self) -> HowItRan:
        """See `un_deploy.runtime.how_it_ran.TellsHowItRan`."""
        ran = self._built[1].how_it_ran() if self._built else HowItRan()
        return together((self._told, ran))

    def _session(self, feeds: Feeds) -> PlanSession:
        shapes = {name: tuple(array.shape) for name, array in feeds.items()}
        if self._built is None or self._built[0] != shapes:
            flavor, origin = self._runtime.flavor, "the graph"
            options = BuildOptions(tf32=self._runtime.tf32)
            engine = engine_of(
                self._graph, origin=origin, flavor=flavor, shapes=shapes, options=options
            )
            types = engine.types
            untold = (types.untold,) if types and types.untold else ()
            self._told = HowItRan(
                warnings=(*self._graph.notes, *engine.built.warnings, *untold),
                types=(types.told,) if types else (),
            )
            plan = deserialized(engine.built.plan, origin, flavor)
            inputs = input_specs(engine.graph.model)
            self._built = shapes, PlanSession(plan, inputs, PlanRuntime(mode=self._runtime.mode))
        return self._built[1]
