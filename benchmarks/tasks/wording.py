"""How figures are written in the tables of the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.tasks.verdicts import Difference, Runs

UNKNOWN = "not yet measured"


def interval(found: Difference) -> str:
    """Its ends."""
    return f"{found.low:+.2f} to {found.high:+.2f}"


def mean_of(found: Runs, digits: int, factor: float = 1) -> str:
    """Over the seeds."""
    if not found:
        return UNKNOWN
    return f"{factor * float(np.mean([*found.values()])):.{digits}f}"


def sd_of(found: Runs) -> str:
    """Over the seeds."""
    return f"{np.std([*found.values()], ddof=1):.2f}" if len(found) > 1 else ""


def extremes(found: Runs) -> str:
    """Lowest and highest."""
    return f"{min(found.values()):.2f}, {max(found.values()):.2f}" if found else ""


def shown(value: float | None) -> str:
    """A score, or that there is none."""
    return UNKNOWN if value is None else f"{value:.2f}"


def shown_change(value: float | None, usual: float | None) -> str:
    """By how much a score changed."""
    return UNKNOWN if value is None or usual is None else f"{value - usual:+.2f}"


def ratio(found: Mapping[str, Any] | None) -> str:
    """With its interval."""
    return f"{found['ratio']:.3f} ({found['low']:.3f} to {found['high']:.3f})" if found else UNKNOWN
