"""All that a run found, for suite.json, and as a table to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.gpu.cells import Series
from benchmarks.gpu.gates import AS_FAST

#: The version of the JSON form; it rises when a field changes its meaning or goes.
REPORT_VERSION = 2

COLUMNS = {
    "ln / folded": "LN",
    "ln_separate / folded": "LN parts",
    "un_released / folded": "UN released",
    "un / folded": "UN",
    "un_addcmul / folded": "UN addcmul",
    "rms / folded": "RMSNorm",
    "bn / folded": "BN",
    "dyt / folded": "DyT",
    "derf / folded": "Derf",
    "folded / none": "folded / no norm",
    "ln, again / ln": "A/A LN",
    "none, again / none": "A/A no norm",
}
"""Ratios that the table shows where a cell has them, and their headings."""

HOST_BOUND = 0.8
"""A run that the host needs this share of its time to hand over is bound by the host."""


def report(series: Sequence[Series], lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Every planned cell with what was found, or the reason why nothing was; no single samples.

    Args:
        series: what was planned.
        lines: the journal, of which all but cells stand in lists by kind.
    """
    found: dict[str, Any] = {"version": REPORT_VERSION, "device": [], "missing": [], "kernels": []}
    for line in lines:
        found.setdefault(line["kind"], []).append(line)
    measured = {line["key"]: line for line in found.pop("cell", [])}
    cells = []
    for one in series:
        for cell in one.cells:
            line = {"status": "not reached", "reason": "the run ended before it, or it was done"}
            planned = {"key": cell.key, **vars(cell), "expected_s": round(cell.seconds, 1)}
            line = planned | measured.get(cell.key, line)
            line.pop("seconds", None)
            cells.append({"series": one.title, **line})
    return {**found, "cells": cells}


def failed_gates(found: dict[str, Any], *, of_times: bool) -> list[str]:
    """The gates that failed: those on times, or those on graphs and answers."""
    failed = []
    for place in [*found["cells"], *found["kernels"]]:
        if place.get("status") == "refused" and not of_times:
            failed.append(f"{place['key']}: {place['reason']}")
        for gate in place.get("gates", ()):
            if gate["passed"] is False and (gate["name"] == AS_FAST) == of_times:
                variant = f" of {gate['variant']}" if gate["variant"] else ""
                failed.append(f"{place['key']}: {gate['name']}{variant}: {gate['found']}")
    return failed


def exit_code(found: dict[str, Any]) -> int:
    """3 if answers are wrong, variants not alike, or a norm is left; else 1 if a cell failed."""
    if failed_gates(found, of_times=False):
        return 3
    return int(any(cell["status"] == "failed" for cell in found["cells"]))


def table(found: dict[str, Any]) -> str:
    """Ratios with their intervals, gates, and what was not run.

    Args:
        found: see `report`.
    """
    cells = found["cells"]
    known = [told for one in found["device"] for told in one.items()]
    timed = [cell for cell in cells if cell["status"] == "timed"]
    have = [name for name in COLUMNS if any(name in cell["ratios"] for cell in timed)]
    rows = [["cell", "folded ms", *(COLUMNS[name] for name in have)]]
    rows += [_row(cell, have) for cell in timed]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    states = [g["passed"] for c in cells for g in c.get("gates", ()) if g["name"] == AS_FAST]
    lines = [
        "Time over the time of UN folded [98 % interval]; * significant",
        "",
        *(f"  {name}: {value}" for name, value in known if value is not None),
        "",
        *("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows),
        "",
        f"{AS_FAST}: shown in {states.count(True)} of {len(states)} cells, not told in "
        f"{states.count(None)}, further apart in {states.count(False)}",
    ]
    for title, told in (
        ("Gates on times that failed", failed_gates(found, of_times=True)),
        ("Gates that failed", failed_gates(found, of_times=False)),
        ("Not run", [*_not_run(found)]),
    ):
        lines += [f"{title}: {len(told)}", *(f"  {line}" for line in told)]
    return "\n".join(lines) + "\n"


def _row(cell: dict[str, Any], columns: Sequence[str]) -> list[str]:
    folded = cell["median_s"].get("folded", float("nan"))
    bound = cell.get("queued_s", {}).get("folded", 0) > HOST_BOUND * folded
    shown = [_ratio(cell["ratios"].get(name)) for name in columns]
    return [cell["key"] + " (host-bound)" * bound, f"{folded * 1e3:.3f}", *shown]


def _ratio(told: dict[str, Any] | None) -> str:
    if told is None:
        return "-"
    mark = "*" if told["significant"] else ""
    return f"{told['ratio']:.3f}{mark} [{told['low']:.4g}, {told['high']:.4g}]"


def _not_run(found: dict[str, Any]) -> Iterator[str]:
    for line in found["missing"]:
        missing = {**line["networks"], **line["unprepared"]}
        yield from (f"{name}: {why}" for name, why in missing.items())
    for cell in found["cells"]:
        if cell["status"] != "timed":
            yield f"{cell['key']}: {cell['status']}: {cell['reason']}"
        yield from (f"{cell['key']}, {name}: {why}" for name, why in cell.get("left", {}).items())
