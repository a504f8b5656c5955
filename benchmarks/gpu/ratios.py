"""The ratios of a cell: every variant over folded, folded over no norm, and the A/A control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.gpu.cells import AGAIN, TWICE
from un_deploy.errors import MissingPackageError
from un_deploy.measure.speed.statistics import Interval, ratio

Table = list[list[float]]


def pairs(entries: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Which times are divided by which."""
    wanted = [(name, "folded") for name in entries if name not in ("folded", "none")]
    wanted = [(a, b) for a, b in wanted if not a.endswith(AGAIN)]
    wanted += [("folded", "none"), ("ln", "none")]
    wanted += [(f"{name}{AGAIN}", name) for name in TWICE]
    return [(a, b) for a, b in wanted if a in entries and b in entries]


def interval(a: Table, b: Table) -> tuple[Interval | None, dict[str, Any]]:
    """The interval of a / b, and the same as plain data.

    Without SciPy there is no interval: then the plain data hold the mean of the builds' median
    log-ratios alone, and say so.
    """
    try:
        found = ratio(a, b)
    except MissingPackageError:
        logs = np.median(np.log(np.asarray(a)) - np.log(np.asarray(b)), axis=1)
        told = {"ratio": float(np.exp(logs.mean())), "low": None, "high": None}
        return None, {**told, "builds": len(logs), "method": "no interval: SciPy is missing"}
    return found, found.to_dict()
