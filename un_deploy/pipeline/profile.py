"""From a graph or a plan to the time of each of its layers, with the ONNX nodes it computes."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from un_deploy.arguments.check import at_least, checked
from un_deploy.arguments.exclusive import refuse_sizes_of_inputs
from un_deploy.arguments.names import argument
from un_deploy.engines.kernels.layer_info import write_layer_info
from un_deploy.engines.plan.header import is_plan
from un_deploy.engines.plan.manifest import load_plan
from un_deploy.errors import InputError
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.model.input_specs import Arrays, Feeds, input_specs, sizes_given
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.precision.names import tf32_in_words
from un_deploy.json_form import SAMPLES, JsonForm
from un_deploy.measure.equality.inputs import random_inputs
from un_deploy.measure.equality.verify import feeds_of
from un_deploy.measure.speed.environment import environment
from un_deploy.pipeline.compare.given_plans import check_tf32, graph_of, usual_sizes
from un_deploy.printed import Cell, Part, Printed, Table, Words
from un_deploy.runtime.backends import choose_backend, runtime_of, threads_of_process
from un_deploy.runtime.check_settings import (
    check_environment,
    check_settings,
    has_tf32,
    threads_in_effect,
)
from un_deploy.runtime.how_it_ran import TellsHowItRan
from un_deploy.runtime.layer_times import TellsEngineLayers, TellsLayers, TimedLayer
from un_deploy.runtime.protocol import Session, Timer
from un_deploy.runtime.settings import RunSettings
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime
from un_deploy.runtime.trtexec.profile_file import write_profile
from un_deploy.runtime.trtexec.times_file import Inference, write_times


@dataclass(frozen=True)
class ProfileReport(JsonForm, Printed):
    """Where the time of a network goes.

    Attributes:
        inputs: shapes by name.
        layers: in the order in which they run, each with its seconds in every run.
        run_s: seconds of each whole run when nobody looks at the layers: what lies between their
            sum and this is the cost of looking, or of what lies between the layers.
        warm_up: runs before those that were counted.
        tf32: whether products of fp32 might be computed in TF32; None: on a CPU, which has none.
        layer_information: a plan's, JSON of its inspector; else None.
        warnings: of what ran it, each once.
    """

    model: str
    runtime: str
    inputs: Mapping[str, tuple[int, ...]]
    layers: tuple[TimedLayer, ...]
    run_s: tuple[float, ...] = field(metadata=SAMPLES)
    warm_up: int
    environment: Mapping[str, str | int | float | None]
    layer_information: str | None = None
    warnings: tuple[str, ...] = ()
    tf32: bool | None = None
    version: int = 1

    @property
    def layers_s(self) -> float:
        """The sum of the medians of all layers."""
        return sum(layer.median_s for layer in self.layers)

    @property
    def slowest_first(self) -> tuple[TimedLayer, ...]:
        return tuple(sorted(self.layers, key=lambda layer: -layer.median_s))

    def share(self, layer: TimedLayer) -> float:
        """Of the sum of all layers, 0 to 1."""
        return layer.median_s / self.layers_s if self.layers_s else 0.0

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """All but the inspector's text, with the medians and shares that a table shows."""
        del given["layer_information"]
        for told, layer in zip(given["layers"], self.layers, strict=True):
            told |= {"median_s": layer.median_s, "share": self.share(layer)}
        return given | {
            "layers_s": self.layers_s,
            "runs": len(self.run_s),
            "median_run_s": statistics.median(self.run_s),
        }

    def told(self, top: int | None = None) -> Iterator[Part]:
        """The layers by their time, the slowest first; all, or as many as `top`."""
        shapes = ", ".join(f"{name} {list(shape)}" for name, shape in self.inputs.items())
        yield f"{self.runtime}{tf32_in_words(self.tf32)}, {len(self.run_s)} runs; {shapes}"
        layers = self.slowest_first[:top]
        yield Table(
            ("ONNX nodes", "runs as", ">median ms", ">share"),
            [
                (_nodes(one), one.kind, f"{one.median_s * 1e3:.4f}", f"{self.share(one):.1%}")
                for one in layers
            ],
        )
        if hidden := len(self.layers) - len(layers):
            yield Words(f"... and {hidden} more layers", "muted")
        whole = statistics.median(self.run_s) * 1e3
        yield (
            f"{len(self.layers)} layers take {self.layers_s * 1e3:.3f} ms together; a run in which "
            f"nobody looks at them takes {whole:.3f} ms."
        )
        for warning in self.warnings:
            yield Words(f"Warning: {warning}", "muted")

    def trtexec_profile(self) -> str:
        """The layers' times, in the form of trtexec's ``--exportProfile``."""
        return write_profile((layer.name, layer.seconds) for layer in self.layers)

    def trtexec_times(self) -> str:
        """The times of whole runs, in the form of trtexec's ``--exportTimes``; no transfers."""
        starts = itertools.accumulate(self.run_s, initial=0.0)
        return write_times(
            Inference(compute_s=one, start_s=start)
            for one, start in zip(self.run_s, starts, strict=False)
        )

    def trtexec_layers(self) -> str:
        """What TensorRT tells of layers, in the form of trtexec's ``--exportLayerInfo``.

        Raises:
            InputError: what ran is no plan.
        """
        if self.layer_information is None:
            raise InputError(f"{self.model} is no plan: only TensorRT tells of an engine's layers")
        return write_layer_info(self.layer_information)


@checked
def profile(
    path: str | os.PathLike[str],
    *,
    backend: str = "auto",
    device: str | None = None,
    threads: int | None = None,
    tf32: bool | None = None,
    runs: int = 20,
    warm_up: int = 5,
    inputs: str | Arrays | None = None,
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
) -> ProfileReport:
    """Time each layer of an ONNX file or of a plan.

    Args:
        path: an ONNX file; or a plan with its manifest, which runs in the TensorRT that built it.
        backend: what runs an ONNX file; "auto": the first that is installed. A plan takes "auto".
        device: of torch; None: "cpu".
        threads: of ONNX Runtime, or of torch on the CPU. What a backend would ignore is refused.
        tf32: whether products of fp32 may be computed in TF32 on a GPU; None: they may. A plan is
            what it was built to be.
        runs: that are counted, at least 1.
        warm_up: runs before them.
        inputs: data.npz or loader.py:function (runs as code), of which the first is taken, or
            arrays by input name; None: random.
        dims: sizes of dynamic dimensions by name, for random inputs.
        shapes: the same as whole shapes, by input.

    Raises:
        InputError: the file or the inputs cannot be read or do not fit, the network does not run,
            or the backend cannot tell of layers.
        MissingPackageError: the backend is not installed.
    """
    at_least(1, runs=runs, threads=threads)
    at_least(0, warm_up=warm_up, seed=seed)
    refuse_sizes_of_inputs(inputs, dims=dims, shapes=shapes)
    path = Path(path)
    session: Session
    if is_plan(path):
        if backend != "auto":
            raise InputError(
                f"{path} is a plan: TensorRT runs it, not {backend}, so leave out "
                f"{argument('backend')}"
            )
        _, manifest = load_plan(path)
        name, model = f"{manifest.flavor} {manifest.tensorrt}", graph_of(manifest)
        check_settings(manifest.flavor, threads=threads, device=device)
        check_tf32(path, manifest, tf32)
        settings = RunSettings(manifest.flavor, tf32=manifest.tf32)
        check_environment(settings)
        session = PlanRuntime().load_plan(path)
        usual = usual_sizes(manifest, model) if inputs is None else {}
    else:
        name = choose_backend(backend)
        check_settings(name, threads=threads, device=device, tf32=tf32)
        count = threads_in_effect(name, threads, device)
        settings = RunSettings(name, count, device or "cpu", tf32=tf32 is not False)
        check_environment(settings)
        model = load_model(path)
        check_weights(model)
        session, usual = runtime_of(settings).load(path), {}
    feeds: Feeds
    if inputs is None:
        sizes = {**usual, **sizes_given(input_specs(model), dims, shapes)}
        feeds = random_inputs(model, seed=seed, dims=sizes)
    else:
        feeds = feeds_of(model, inputs)[0]
    if not isinstance(session, TellsLayers):
        raise InputError(f"{name} cannot tell the times of its layers")
    with threads_of_process(settings):
        layers = session.layer_times(feeds, runs, warm_up)
        run_s = _runs(session.timer(feeds), runs, warm_up)
    told = session.layer_information(feeds) if isinstance(session, TellsEngineLayers) else None
    return ProfileReport(
        model=str(path),
        runtime=name,
        inputs={title: array.shape for title, array in feeds.items()},
        layers=layers,
        run_s=run_s,
        warm_up=warm_up,
        environment=environment(),
        layer_information=told,
        warnings=session.how_it_ran().warnings if isinstance(session, TellsHowItRan) else (),
        tf32=settings.tf32 if has_tf32(settings.backend, settings.device) else None,
    )


def _nodes(layer: TimedLayer) -> Cell:
    """Those that a layer computes; without any, what the runtime calls it."""
    first, rest = layer.onnx_nodes[:3], len(layer.onnx_nodes) - 3
    if not first:
        return Words(layer.name, "muted")
    return " ".join(first) + (f" and {rest} more" if rest > 0 else "")


def _runs(timer: Timer, runs: int, warm_up: int) -> tuple[float, ...]:
    for _ in range(warm_up):
        timer(1)
    return tuple(timer(1) for _ in range(runs))
