"""Times of ONNX Runtime's nodes, from its own profile, with the ONNX nodes that they stand for.

The profile (``end_profiling``) is a list of events: one "Session" event "model_run" for each run,
and a "Node" event "NAME_kernel_time" for each node in it, with microseconds. The nodes are those of
the optimized graph, which ONNX Runtime writes too. Fusions and layout passes rename nodes, but what
they write for the rest of the graph keeps its name: so the nodes of the given graph that a node
stands for are those between the tensors around it that both graphs have.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds, tensor_names
from un_deploy.graph.model.labels import node_name
from un_deploy.runtime.layer_times import TimedLayer, nodes_between
from un_deploy.runtime.session import opened

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OPTIMIZED = "optimized.onnx"
"""The file of the optimized graph, in the folder of a profile."""

_SUFFIX = "_kernel_time"


def layer_times(
    open_in: Callable[[Path, Path, Path], InferenceSession],
    source: ir.Model | Path,
    model: ir.Model,
    feeds: Feeds,
    runs: int,
    warm_up: int,
) -> tuple[TimedLayer, ...]:
    """See `un_deploy.runtime.layer_times.TellsLayers`.

    `open_in` loads a file as it is timed; the profile comes to lie in the folder, and the optimized
    graph in the last file.

    Raises:
        InputError: the profile is not in the form that is known.
    """
    if not all(node.name for node in model.graph):  # the profile tells of nodes by their names
        source = model.clone()
        for node, original in zip(source.graph, model.graph, strict=True):
            node.name = node_name(original)  # a clone's nodes are given names
    made = TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True)
    with made as place, opened(source) as path:
        folder = Path(place).resolve()
        session = open_in(path, folder, folder / OPTIMIZED)
        for _ in range(warm_up + runs):
            session.run(None, dict(feeds))
        try:
            events = json.loads(Path(session.end_profiling()).read_text())
        except ValueError as error:
            raise InputError(
                f"ONNX Runtime's profile was not written whole to {folder}: is the disk full?"
            ) from error
        optimized = ir.load(folder / OPTIMIZED)
        nodes = _onnx_nodes(model.graph, optimized.graph)
    found = list(_runs(events))[warm_up:]
    if len(found) != runs:
        raise InputError(f"ONNX Runtime's profile tells of {len(found)} runs, not {runs}")
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    kinds = {}
    for run in found:
        occurred: Counter[str] = Counter()
        for event in run:
            name = event["name"].removesuffix(_SUFFIX)
            key = (name, occurred[name])
            occurred[name] += 1
            kinds[key] = event["args"].get("op_name", "")
            seconds[key].append(event["dur"] / 1e6)
    if any(len(times) != runs for times in seconds.values()):
        raise InputError("ONNX Runtime's profile tells of other nodes from run to run")
    return tuple(
        TimedLayer(key[0], kinds[key], nodes.get(key[0], ()), tuple(times))
        for key, times in seconds.items()
    )


def _runs(events: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The nodes' events of each run, in their order; a node within another's body is left out."""
    try:
        runs = sorted(e["ts"] for e in events if e["cat"] == "Session" and e["name"] == "model_run")
        timed = [e for e in events if e["cat"] == "Node" and e["name"].endswith(_SUFFIX)]
        timed.sort(key=lambda event: (event["ts"], -event["dur"]))
    except (KeyError, TypeError) as error:
        raise InputError(f"ONNX Runtime's profile has an event without {error}") from error
    for start, end in zip(runs, [*runs[1:], float("inf")], strict=True):
        outer, until = [], start
        for event in timed:
            if start <= event["ts"] < end and (event["ts"] >= until or not event["dur"]):
                outer.append(event)
                until = event["ts"] + event["dur"]
        yield outer


def _onnx_nodes(given: ir.Graph, optimized: ir.Graph) -> dict[str, tuple[str, ...]]:
    """The nodes of the given graph that each node of the optimized one stands for, by its name."""
    originals = {value.name: value for node in given for value in node.outputs if value.name}
    kept = tensor_names(optimized) & originals.keys()
    found = {}
    for node in optimized:
        ends = _nearest(node.outputs, kept, forward=True)
        begins = _nearest([v for v in node.inputs if v is not None], kept, forward=False)
        there = {originals[name] for name in (kept - ends) | begins}
        between = nodes_between((originals[name] for name in sorted(ends)), there)
        names = [node_name(one) for one in between if one.op_type != "Constant"]
        found[node.name or ""] = tuple(names)
    return found


def _nearest(values: Sequence[ir.Value], kept: Collection[str], *, forward: bool) -> set[str]:
    """Names that both graphs have, as near as there are, in one direction."""
    found: set[str] = set()
    waiting, seen = list(values), set(values)
    while waiting:
        value = waiting.pop()
        if value.name and value.name in kept:
            found.add(value.name)
            continue
        if forward:
            further = [out for use in value.uses() for out in use.node.outputs]
        else:
            producer = value.producer()
            further = [v for v in producer.inputs if v is not None] if producer else []
        waiting += [one for one in further if one not in seen]
        seen.update(further)
    return found
