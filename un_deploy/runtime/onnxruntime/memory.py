"""What a run of ONNX Runtime holds, from its own profile.

In 1.32 every "Node" event of a profile says what the allocator had given out when the node had run
(``mem_bytes_requested_in_use``, its inputs not yet freed), and by how much the node changed that
(``mem_requested_in_use_delta``): bytes as asked for, without the allocator's own rounding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.session import opened, run_engine

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RUNS = 3
"""Only from the second run on is memory laid out by the plan that the first one made."""

WHAT = (
    "tensors of a run, outputs included, as ONNX Runtime's allocator counted after each node; "
    "what a kernel takes and gives back meanwhile is not seen"
)
_IN_USE, _DELTA = "mem_bytes_requested_in_use", "mem_requested_in_use_delta"


def run_memory(
    open_in: Callable[[Path, Path], InferenceSession],
    runtime: str,
    source: ir.Model | Path,
    feeds: Feeds,
    provider: str,
) -> RunMemory:
    """See `un_deploy.runtime.run_memory.TellsMemory`; loads the model once more, for the profile.

    `open_in` loads a file as it is timed; the profile comes to lie in the folder. `runtime` is its
    name, for messages.

    Raises:
        InputError: an input is missing or unfit, the run fails, or the profile is not in the form
            that is known.
    """
    made = TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True)
    with made as place, opened(source) as path:
        session = open_in(path, Path(place).resolve())
        for _ in range(RUNS):
            run_engine(session, runtime, None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text())
    return of_events(events, provider)


def of_events(events: Sequence[dict[str, Any]], provider: str) -> RunMemory:
    """What the last run held beside what was there before the first: weights, and fed inputs.

    Raises:
        InputError: the profile is not in the form that is known.
    """
    try:
        runs = sorted(e["ts"] for e in events if e["cat"] == "Session" and e["name"] == "model_run")
        nodes = [e for e in events if e["cat"] == "Node" and e["args"].get("provider") == provider]
        nodes.sort(key=lambda event: event["ts"])
        if not all(_IN_USE in event["args"] for event in nodes):
            return RunMemory(None, "this onnxruntime's profile tells no memory; that of 1.32 does")
        if not runs or not nodes:
            return RunMemory(None, f"no node ran on {provider}")
        first = nodes[0]["args"]
        before = int(first[_IN_USE]) - int(first[_DELTA])
        peak = max(int(event["args"][_IN_USE]) for event in nodes if event["ts"] >= runs[-1])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"ONNX Runtime's profile is not in the known form: {error}") from error
    return RunMemory(peak - before, WHAT)
