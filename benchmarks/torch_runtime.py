"""What the torch runtime costs: an imported graph against the PyTorch module that it came from.

    python -m benchmarks.torch_runtime [--only vit_micro ...] [--norm ln ...]

Eager, CPU, batch 8, same weights and same inputs. For each network and norm the module itself, the
module once more (the control), and its imported graph are timed in turn; under "none" the folded
graph of UN's network too, which has the operators of the network without norms. Every build has
its own copy of the weights and its own import. The outputs are compared before anything is timed.
A graph keeps within the limit, 1.1 times the module, where its whole interval does. Results go to
benchmarks/results/torch_runtime.json, one entry a network and norm, replaced when it is measured
again. The large networks take a minute each to build: --builds 3 --rounds 8 for these.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from models import bert, vit
from tests.support.trained_like import variant
from un_deploy.graph.fold import fold_graph
from un_deploy.measure.environment import environment
from un_deploy.measure.statistics import Interval, ratio
from un_deploy.measure.timing import interleaved
from un_deploy.pipeline.torch_to_onnx import to_onnx
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.torch_graph import TorchRuntime

RESULT = Path(__file__).parent / "results" / "torch_runtime.json"
LIMIT = 1.1
BATCH = 8
SEED = 2208
ROUNDING = 1e-5  # of the outputs' range, float32
NATIVE, AGAIN = "native", "native, again"
NORMS = ("ln", "un", "none")
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "vit_micro": vit.vit_micro,
    "bert_micro": bert.bert_micro,
    "vit_small": vit.vit_small,
    "bert_base": bert.bert_base,
}


def graphs_of(factory: Callable[..., nn.Module], norm: str, native: nn.Module) -> dict[str, Any]:
    """What is held against the module: its own graph, and the folded one beside no norm."""
    graphs = {"imported": _static(native)}
    if norm == "none":
        graphs["folded"] = fold_graph(_static(variant(factory, "un", SEED))).model
    return graphs


def _static(network: Any) -> ir.Model:
    inputs = network.example_inputs(BATCH)
    return to_onnx(network, inputs, dynamic_axes={}, output_names=network.output_names)


def timer_of(module: nn.Module, inputs: dict[str, torch.Tensor]) -> Timer:
    """The module timed as the runtime's session times its graph."""
    tensors = list(inputs.values())

    def seconds(runs: int) -> float:
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(runs):
                module(*tensors)
            return time.perf_counter() - start

    return seconds


def check(name: str, got: np.ndarray, wanted: np.ndarray) -> None:
    """The graph computes what the module does.

    Raises:
        AssertionError: it does not.
    """
    error = float(np.max(np.abs(got - wanted)) / np.ptp(wanted))
    if not error <= ROUNDING:
        raise AssertionError(f"{name} differs from the module by {error:.1e} of its range")


def measure(name: str, norm: str, builds: int, rounds: int, sample_s: float) -> dict[str, Any]:
    """One network with one norm: each graph's time over the module's."""
    native: Any = variant(NETWORKS[name], norm, SEED)
    graphs = graphs_of(NETWORKS[name], norm, native)
    # The folded graph has the operators of this module and the weights of UN's.
    modules = dict.fromkeys(graphs, native)
    if "folded" in graphs:
        modules["folded"] = variant(NETWORKS[name], "un", SEED)
    inputs = native.example_inputs(BATCH)
    feeds = {key: tensor.numpy() for key, tensor in inputs.items()}
    with torch.inference_mode():
        wanted = {kind: module(**inputs).numpy() for kind, module in modules.items()}
    seconds: dict[str, list[list[float]]] = {kind: [] for kind in (NATIVE, AGAIN, *graphs)}
    for number in range(builds):
        timers: dict[str, Timer] = {
            kind: timer_of(deepcopy(native), inputs) for kind in (NATIVE, AGAIN)
        }
        for kind, graph in graphs.items():
            session = TorchRuntime().load(graph)
            (got,) = session.run(feeds).values()
            check(f"{name}, {norm}, {kind}", got, wanted[kind])
            timers[kind] = session.timer(feeds)
        found = interleaved(timers, rounds=rounds, sample_s=sample_s, reverse=number % 2 == 1)
        for kind, times in found.items():
            seconds[kind].append(times)
        del timers
        gc.collect()
    over = {
        kind: ratio(times, seconds[NATIVE]) for kind, times in seconds.items() if kind != NATIVE
    }
    return {
        "network": name,
        "norm": norm,
        "batch": BATCH,
        "threads": torch.get_num_threads(),
        "sample_s": sample_s,
        "median_s": {kind: float(np.median(times)) for kind, times in seconds.items()},
        "over_native": {kind: told(interval) for kind, interval in over.items()},
        "within_limit": all(over[kind].high <= LIMIT for kind in graphs),
        "environment": environment(),
    }


def told(interval: Interval) -> dict[str, Any]:
    """An interval as plain data."""
    return {**asdict(interval), "significant": interval.significant}


def merged(entry: dict[str, Any]) -> dict[str, Any]:
    """The result file with this entry in place of an older one of the same network and norm."""
    old = json.loads(RESULT.read_text())["entries"] if RESULT.is_file() else []
    by_key = {(e["network"], e["norm"]): e for e in [*old, entry]}
    order = [(name, norm) for name in NETWORKS for norm in NORMS]
    return {"limit": LIMIT, "entries": [by_key[key] for key in order if key in by_key]}


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*NETWORKS]), default=[*NETWORKS])
@click.option("--norm", "norms", multiple=True, type=click.Choice(NORMS), default=NORMS)
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(
    only: tuple[str, ...],
    norms: tuple[str, ...],
    builds: int,
    rounds: int,
    sample_ms: float,
    threads: int,
) -> None:
    """Measure, print a line for each network and norm, and write the result."""
    torch.set_num_threads(threads)
    for name in only:
        for norm in norms:
            entry = measure(name, norm, builds, rounds, sample_ms / 1000)
            RESULT.write_text(json.dumps(merged(entry), indent=2) + "\n")
            parts = [
                f"{kind} {i['ratio']:.3f} [{i['low']:.3f}, {i['high']:.3f}]"
                for kind, i in entry["over_native"].items()
            ]
            click.echo(f"{name:10} {norm:4} over native: {', '.join(parts)}")


if __name__ == "__main__":
    main()
