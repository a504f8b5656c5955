"""How often un-deploy's comparison errs, and how often its rivals would, on simulated timings.

    python -m benchmarks.estimator

Run it from the root of a checkout. Everything is seeded: the same NumPy and mpmath give the same
benchmarks/results/estimator.json. The tables of docs/how-we-compare.md are printed; the exit code
is 1 if the page holds others.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.entries import table
from tests.support.rejected_estimators import RESAMPLES, inside_one_control, pooled_bootstrap
from tests.support.scenarios import BUILDS, ROUNDS, RUNS, SCENARIOS, SPREADS, simulate
from un_deploy.measure.speed.environment import cpu
from un_deploy.measure.speed.statistics import CONFIDENCE, Interval, ratio

RESULT = Path(__file__).parent / "results" / "estimator.json"
PAGE = Path(__file__).parents[1] / "docs" / "how-we-compare.md"
TRUE_RATIOS = (1.00, 1.02, 1.05, 1.10)
SLOWER = TRUE_RATIOS[-1]
BUILD_COUNTS = (2, 3, 5, 10, 20)
ROUND_COUNTS = (ROUNDS, 5 * ROUNDS)
COIN, COIN_COST = 0.2, 0.10  # an engine builder that picks a slow kernel in one build of five
EQUAL = 0.02  # how far from 1 the whole interval may reach for two variants to be called equal

Ends = tuple[np.ndarray, np.ndarray]


def intervals(times: np.ndarray) -> list[Interval]:
    """The comparison of every run; times have shape (2, runs, builds, rounds)."""
    return [ratio(a, b) for a, b in zip(*times, strict=True)]


def ends(times: np.ndarray) -> Ends:
    """Where the comparison's intervals end."""
    low, high = np.array([(found.low, found.high) for found in intervals(times)]).T
    return low, high


def share(condition: np.ndarray | list[bool]) -> float:
    """In how many of the runs, as a share."""
    return round(float(np.mean(condition)), 4)


def apart(found: Ends) -> np.ndarray:
    """Where 1 lies outside: a false alarm if the variants are equal."""
    return (found[0] > 1) | (found[1] < 1)


def rates(equal: Ends, slower: Ends) -> dict[str, float]:
    """False positives at 1.00x, and how often 1.10x is found."""
    return {"false_positives": share(apart(equal)), "found_1.10": share(slower[0] > 1)}


def scenario_row(scenario: str, spread: float) -> dict[str, Any]:
    """Every estimator on one kind of machine."""
    turns, fixed = (
        [
            simulate(scenario, spread=spread, ratios=(true, 1.0), fixed_order=fixed_order)
            for true in (1.00, SLOWER)
        ]
        for fixed_order in (False, True)
    )
    chosen = [ends(times) for times in turns]
    covered = (chosen[1][0] <= SLOWER) & (chosen[1][1] >= SLOWER)
    control = simulate(scenario, spread=spread, ratios=(1.0, 1.0, 1.0))
    return {
        "scenario": scenario,
        "build_spread": spread,
        "student_over_builds": rates(*chosen) | {"covers_1.10": share(covered)},
        "pooled_bootstrap": rates(*(pooled_bootstrap(*times) for times in turns)),
        "one_build": rates(*(ends(times[:, :, :1]) for times in turns)),
        "fixed_order": rates(*(ends(times) for times in fixed)),
        "fixed_order_pooled_bootstrap": rates(*(pooled_bootstrap(*times) for times in fixed)),
        "farther_than_one_control": {"false_positives": share(inside_one_control(*control))},
    }


def builds_row(builds: int, spread: float) -> dict[str, Any]:
    """What more builds buy, where the machine is at its best (iid)."""
    found = {
        true: ends(simulate("iid", spread=spread, ratios=(true, 1.0), builds=builds))
        for true in TRUE_RATIOS
    }
    low, high = found[1.00]
    return {
        "builds": builds,
        "build_spread": spread,
        "false_positives": share(apart(found[1.00])),
        "median_half_width": round(float(np.median(np.sqrt(high / low) - 1)), 4),
        "equal_within_2_percent": share((low >= 1 - EQUAL) & (high <= 1 + EQUAL)),
        **{f"found_{true:.2f}": share(found[true][0] > 1) for true in TRUE_RATIOS[1:]},
    }


def coin_row() -> dict[str, Any]:
    """Where a build is not a little different but now and then `COIN_COST` slower."""
    tosses = np.random.default_rng(0).random((2, RUNS, BUILDS, 1)) < COIN
    cost = 1 + COIN_COST * tosses
    equal, slower = (simulate("iid", spread=0.0, ratios=(r, 1.0)) for r in (1.00, SLOWER))
    low, high = ends(np.stack([equal[0] * cost[0], equal[1]]))
    mean = (1 + COIN_COST) ** COIN
    return {
        "slower_by": COIN_COST,
        "with_probability": COIN,
        **rates(ends(equal * cost), ends(slower * cost)),
        "one_variant_only_covers_its_mean": share((low <= mean) & (mean <= high)),
    }


def rounds_row(rounds: int) -> dict[str, Any]:
    """What more rounds do where builds differ (iid)."""
    equal = simulate("iid", spread=SPREADS[-1], ratios=(1.0, 1.0), rounds=rounds)
    return {
        "rounds": rounds,
        "build_spread": SPREADS[-1],
        "student_over_builds": {"false_positives": share(apart(ends(equal)))},
        "pooled_bootstrap": {"false_positives": share(apart(pooled_bootstrap(*equal)))},
    }


COLUMNS = {
    "un-deploy": "student_over_builds",
    "pooled bootstrap": "pooled_bootstrap",
    "one build": "one_build",
    "fixed order": "fixed_order",
    "fixed order, pooled bootstrap": "fixed_order_pooled_bootstrap",
    "one A/A draw": "farther_than_one_control",
}


def false_positive_table(rows: list[dict[str, Any]]) -> list[str]:
    """False positives in percent: builds alike / builds that differ by 1 %."""
    cells: dict[str, list[list[str]]] = {}
    for row in rows:
        cells.setdefault(row["scenario"], []).append(
            [f"{100 * row[key]['false_positives']:.2f}" for key in COLUMNS.values()]
        )
    body = [[name, *map(" / ".join, zip(*pair, strict=True))] for name, pair in cells.items()]
    return table(["the machine", *COLUMNS], body)


def builds_table(rows: list[dict[str, Any]]) -> list[str]:
    """What more builds buy, in percent, where builds differ by 1 %."""
    keys = ["median_half_width", "found_1.02", "found_1.05", "found_1.10", "equal_within_2_percent"]
    head = ["builds", "interval ±", "2 % found", "5 % found", "10 % found"]
    head.append("equal shown within 2 %")
    body = [
        [str(row["builds"]), *(f"{100 * row[key]:.2f}" for key in keys)]
        for row in rows
        if row["build_spread"] == SPREADS[-1]
    ]
    return table(head, body)


def main() -> int:
    """Simulate, write the result, print the page's tables and say whether it holds them."""
    scenarios = [scenario_row(name, spread) for name in SCENARIOS for spread in SPREADS]
    more_builds = [builds_row(n, spread) for n in BUILD_COUNTS for spread in SPREADS]
    result = {
        "environment": {
            "cpu": cpu(),
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "mpmath")},
        },
        "runs": RUNS,
        "builds": BUILDS,
        "rounds": ROUNDS,
        "confidence": CONFIDENCE,
        "bootstrap_resamples": RESAMPLES,
        "seed": 0,
        "scenarios": scenarios,
        "more_builds": more_builds,
        "more_rounds": [rounds_row(rounds) for rounds in ROUND_COUNTS],
        "now_and_then_a_slow_build": coin_row(),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    lines = [*false_positive_table(scenarios), *builds_table(more_builds)]
    print(*lines, sep="\n")
    return int(not set(lines) <= set(PAGE.read_text().splitlines()))


if __name__ == "__main__":
    sys.exit(main())
