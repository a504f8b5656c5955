"""All that a run found, as one JSON and as a table to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.gpu.cells import Series
from benchmarks.gpu.gates import WITHIN, as_fast

#: The version of the JSON form; it rises when a field changes its meaning or goes.
REPORT_VERSION = 1

COLUMNS = {
    "ln / folded": "LN",
    "ln_separate / folded": "LN parts",
    "un_released / folded": "UN released",
    "un / folded": "UN",
    "un_addcmul / folded": "UN addcmul",
}
"""Ratios that the table shows, and their headings."""

WIDE = 100
"""Ends of intervals above it are not worth their digits."""

_TIMED_GATE = as_fast(None).name


def report(series: Sequence[Series], lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Every planned cell with what was found, or the reason why nothing was; no single samples.

    Args:
        series: what was planned.
        lines: the journal.
    """
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_kind.setdefault(line["kind"], []).append(line)
    measured = {
        line["key"]: {name: value for name, value in line.items() if name != "seconds"}
        for line in by_kind.get("cell", [])
    }
    cells = []
    for one in series:
        for cell in one.cells:
            found = measured.get(cell.key)
            reason = {"status": "not reached", "reason": "the run ended before it, or it was done"}
            cells.append(
                {"series": one.title, **(found or {"key": cell.key, **vars(cell)} | reason)}
            )
    return {
        "version": REPORT_VERSION,
        "start": next(iter(by_kind.get("start", [])), {}),
        "device": next(iter(by_kind.get("device", [])), {}),
        "states": by_kind.get("state", []),
        "kernels": by_kind.get("kernels", []),
        "prepared": by_kind.get("prepared", []),
        "missing": next(iter(by_kind.get("missing", [])), {}),
        "seconds": next((line["at_s"] for line in by_kind.get("end", [])), None),
        "interrupted": "interrupted" in by_kind,
        "cells": cells,
    }


def failed_gates(found: dict[str, Any], *, of_times: bool) -> list[str]:
    """The gates that failed: those on times, or those on graphs and answers."""
    failed = []
    for place in [*found["cells"], *found["kernels"]]:
        name = place.get("key") or place["network"]
        if place.get("status") == "refused" and not of_times:
            failed.append(f"{name}: {place['reason']}")
        for gate in place.get("gates", ()):
            if gate["passed"] is False and (gate["name"] == _TIMED_GATE) == of_times:
                variant = f" of {gate['variant']}" if gate["variant"] else ""
                failed.append(f"{name}: {gate['name']}{variant}: {gate['found']}")
    return failed


def table(found: dict[str, Any]) -> str:
    """Ratios with their intervals, gates, and what was not run."""
    text = ["Time over the time of UN folded [98 % interval]; * significant", ""]
    told = [one for cell in found["cells"] for one in cell.get("ratios", {}).values()]
    if any(one["low"] is None for one in told):
        text.insert(1, "SciPy is missing here: ratios of medians without intervals")
    device = found["device"].get("facts", {})
    text += [f"  {name}: {value}" for name, value in device.items() if value is not None]
    ceilings = found["device"].get("ceilings", {})
    text += [f"  {name}: {value:.3g}" for name, value in ceilings.items()]
    text.append("")
    timed = [cell for cell in found["cells"] if cell["status"] == "timed"]
    heads = ["cell", "folded ms", *COLUMNS.values(), "folded / no norm", "A/A LN", "A/A no norm"]
    rows = [heads, *map(_row, timed)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    text += [
        "  ".join(part.ljust(w) for part, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for part in (_memory(timed), _kernels(found), _gates(found, timed), _not_run(found)):
        text += ["", *part]
    return "\n".join(text) + "\n"


def _row(cell: dict[str, Any]) -> list[str]:
    ratios = cell["ratios"]
    shown = [*COLUMNS, "folded / none", "ln, again / ln", "none, again / none"]
    folded = cell["median_s"].get("folded")
    key = cell["key"]
    if cell["queued_s"].get("folded", 0) > 0.8 * (folded or float("inf")) and _on_gpu(cell):
        key += " (host-bound)"
    return [key, f"{folded * 1e3:.3f}" if folded else "-", *(_ratio(ratios.get(n)) for n in shown)]


def _on_gpu(cell: dict[str, Any]) -> bool:
    return any(value is not None for value in cell.get("peak_bytes", {}).values())


def _ratio(told: dict[str, Any] | None) -> str:
    if told is None:
        return "-"
    if told["low"] is None:
        return f"{told['ratio']:.3f}"
    mark = "*" if told["significant"] else ""
    low, high = (f"{end:.3f}" if end < WIDE else f">{WIDE}" for end in (told["low"], told["high"]))
    return f"{told['ratio']:.3f}{mark} [{low}, {high}]"


def _memory(timed: Iterable[dict[str, Any]]) -> list[str]:
    text = ["Activation memory in MB: eager peak / what the CUDA graph holds"]
    for cell in timed:
        parts = []
        for name, peak in cell.get("peak_bytes", {}).items():
            pool = cell["pool_bytes"].get(name)
            if peak is not None:
                held = "" if pool is None else f" / {pool / 1e6:.1f}"
                parts.append(f"{name} {peak / 1e6:.1f}{held}")
        if parts:
            text.append(f"  {cell['key']}: {', '.join(parts)}")
    return text if len(text) > 1 else ["Activation memory: not to be had on a CPU"]


def _kernels(found: dict[str, Any]) -> list[str]:
    text = ["Kernels of a run, eager"]
    for place in found["kernels"]:
        parts = [f"{name} {n}" for name, n in place["kernels"].items() if n is not None]
        if parts:
            text.append(f"  {place['network']} ({place['norms']} norms): {', '.join(parts)}")
    for cell in found["cells"]:
        parts = [f"{name} {n}" for name, n in cell.get("kernels", {}).items() if n is not None]
        if parts:
            text.append(f"  {cell['key']}: {', '.join(parts)}")
    return text if len(text) > 1 else ["Kernels: not to be had on a CPU"]


def _gates(found: dict[str, Any], timed: Sequence[dict[str, Any]]) -> list[str]:
    states = [
        gate["passed"] for cell in timed for gate in cell["gates"] if gate["name"] == _TIMED_GATE
    ]
    text = [
        f"{_TIMED_GATE}: shown in {states.count(True)} of {len(states)} cells, not told in "
        f"{states.count(None)}, more than {WITHIN:.0%} apart in {states.count(False)}"
    ]
    for title, of_times in (("Gates on times that failed", True), ("Gates that failed", False)):
        failed = failed_gates(found, of_times=of_times)
        text += [f"{title}: {len(failed)}", *(f"  {line}" for line in failed)]
    return text


def _not_run(found: dict[str, Any]) -> list[str]:
    text = ["Not run:"]
    text += [f"  {name}: {why}" for name, why in found["missing"].get("networks", {}).items()]
    text += [f"  {name}: {why}" for name, why in found["missing"].get("unprepared", {}).items()]
    for cell in found["cells"]:
        if cell["status"] != "timed":
            text.append(f"  {cell['key']}: {cell['status']}: {cell['reason']}")
        text += [f"  {cell['key']}, {v}: {why}" for v, why in cell.get("left", {}).items()]
    return text if len(text) > 1 else ["Everything was run."]
