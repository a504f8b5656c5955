"""Times of an engine's layers, as TensorRT reports them, with the ONNX nodes that they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from un_deploy.engines.flavor import Flavor, library
from un_deploy.engines.kernels.layer_info import layers_named, parse_layer_info
from un_deploy.engines.plan.load import LoadedPlan
from un_deploy.errors import InputError
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.tensorrt.execution import Execution

if TYPE_CHECKING:
    from tensorrt import IProfiler


def recorder(flavor: Flavor, told: list[tuple[str, float]]) -> IProfiler:
    """A ``trt.IProfiler`` that appends what it is told, as (name, ms)."""
    trt = library(flavor)

    class Recorder(trt.IProfiler):  # type: ignore[name-defined]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            told.append((layer_name, ms))

    return Recorder()


def times_of_layers(
    plan: LoadedPlan, execution: Execution, runs: int, wait: Callable[[], None]
) -> tuple[TimedLayer, ...]:
    """Run what is bound, and gather the time of each layer.

    The execution keeps the profiler; `wait` waits until the device has done.

    Raises:
        InputError: TensorRT refuses, or tells of other layers in one run than in another.
    """
    told: list[tuple[str, float]] = []
    execution.context.profiler = recorder(plan.flavor, told)
    # Reported when asked, as trtexec does: enqueueing then does not wait layer by layer.
    execution.context.enqueue_emits_profile = False
    found: list[list[tuple[str, float]]] = []
    for _ in range(runs):
        told.clear()
        execution.enqueue()
        wait()
        if not execution.context.report_to_profiler():
            raise InputError(f"{plan.origin}: TensorRT does not report the times of its layers")
        found.append(list(told))
    names = [name for name, _ in found[0]]
    if any([name for name, _ in run] != names for run in found):
        raise InputError(f"{plan.origin}: TensorRT tells of other layers from run to run")
    layers = layers_named(names, parse_layer_info(layer_information(plan, execution)))
    seconds = (tuple(run[index][1] / 1e3 for run in found) for index in range(len(names)))
    return tuple(
        TimedLayer(layer.name, layer.kind, layer.onnx_nodes, times)
        for layer, times in zip(layers, seconds, strict=True)
    )


def layer_information(plan: LoadedPlan, execution: Execution) -> str:
    """What the engine's inspector tells, as JSON; sizes are those of what is bound."""
    trt = library(plan.flavor)
    inspector = plan.engine.create_engine_inspector()
    inspector.execution_context = execution.context
    return inspector.get_engine_information(trt.LayerInformationFormat.JSON)
