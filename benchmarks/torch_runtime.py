"""Does the torch runtime cost anything over the PyTorch module that a graph was exported from?

    python -m benchmarks.torch_runtime [--only vit_micro ...] [--variant ln] [--variant folded]

Eager, on the CPU, one thread, batch 8. For each network two ratios of times, imported over native:

- ln: the exported network with Layer Normalization over that network itself, the same weights;
- folded: the folded graph over the native network without any norm, whose weights outside the
  norms are those of the network that was folded, before the fold.

Every build is a process of its own, in which the native module, the imported one and the native
one again are timed in turn. Results go to benchmarks/results/torch_runtime.json, one entry a
network and variant, replaced when it is measured again; torch_runtime.md beside it says what they
mean.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import click
import numpy as np
import torch
from torch import nn

from benchmarks import entries
from models.recipes import MEASURED
from tests.support.networks.trained_like import variant
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.speed.environment import environment
from un_deploy.measure.speed.timing import interleaved
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.runtime import host_timer

RESULT = Path(__file__).parent / "results" / "torch_runtime.json"
SEED = 2208
BATCH = 8
TARGET = 1.1
ROUNDING = 1e-5  # of the range of the outputs, float32
Kind = Literal["ln", "folded"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def network(name: str, kind: str) -> nn.Module:
    """A network in eval mode; the kinds share the weights outside the norms."""
    return variant(MEASURED[name].factory, kind, SEED, forwards=0)


def save_graph(name: str, kind: Kind, path: Path) -> None:
    """Export, fold, and check that what is imported computes what it was made from."""
    source = network(name, "un" if kind == "folded" else kind)
    inputs = source.example_inputs(BATCH)
    model = to_onnx(source, inputs, dynamic_axes={}, output_names=source.output_names)
    if kind == "folded":
        model = fold_graph(model).model
    save_model(model, path, force=True)
    with torch.inference_mode():
        wanted = source(**inputs).numpy()
    feeds = {key: tensor.numpy() for key, tensor in inputs.items()}
    (got,) = TorchRuntime().load(to_ir(path)[0]).run(feeds).values()
    error = float(np.max(np.abs(got - wanted)) / np.ptp(wanted))
    if not error <= ROUNDING:
        raise click.ClickException(f"{name} {kind}: the imported module is off by {error:.1e}")


def build(
    number: int, name: str, kind: Kind, path: Path, rounds: int, sample_s: float
) -> dict[str, list[float]]:
    """One build's times, seconds of a run by entry; to be called in a fresh process."""
    torch.set_num_threads(1)
    native = network(name, "none" if kind == "folded" else kind)
    inputs = native.example_inputs(BATCH)
    feeds = {key: tensor.numpy() for key, tensor in inputs.items()}

    def native_timer() -> Timer:
        return host_timer(lambda: native(**inputs))

    timers = {
        "native": native_timer(),
        "imported": TorchRuntime().load(to_ir(path)[0]).timer(feeds),
        "native, again": native_timer(),
    }
    return interleaved(timers, rounds=rounds, sample_s=sample_s, reverse=number % 2 == 1)


def measure(
    name: str, kind: Kind, path: Path, builds: int, rounds: int, sample_s: float
) -> dict[str, Any]:
    """One network and variant: the interval of the ratio, and that of native over itself."""
    seconds = entries.in_fresh_processes(build, builds, name, kind, path, rounds, sample_s)
    over_native = entries.over(seconds, "native")
    return {
        "network": name,
        "variant": kind,
        "target": TARGET,
        "batch": BATCH,
        "threads": 1,
        "sample_s": sample_s,
        "median_s": entries.medians(seconds),
        "over_native": over_native,
        "within_target": over_native["imported"]["high"] <= TARGET,
        "environment": environment(),
    }


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*MEASURED]), default=[*MEASURED])
@click.option("--variant", "kinds", multiple=True, type=click.Choice(KINDS), default=KINDS)
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
@click.option("--graphs", type=click.Path(path_type=Path), help="A folder that keeps the graphs.")
@click.option("--only-graphs", is_flag=True, help="Make them, and measure nothing.")
def main(
    only: tuple[str, ...],
    kinds: tuple[Kind, ...],
    builds: int,
    rounds: int,
    sample_ms: float,
    graphs: Path | None,
    only_graphs: bool,
) -> None:
    """Measure, print each network's line, and write the result."""
    with TemporaryDirectory() as made:
        folder = graphs or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        for name, kind in product(only, kinds):
            path = folder / f"{name}_{kind}.onnx"
            if not path.is_file():
                save_graph(name, kind, path)
            if only_graphs:
                continue
            entry = measure(name, kind, path, builds, rounds, sample_ms / 1000)
            order = [*product(MEASURED, KINDS)]
            entries.write(RESULT, entry, ("network", "variant"), order)
            click.echo(f"{name:10} {kind:6} over native: {entries.line(entry['over_native'])}")


if __name__ == "__main__":
    main()
