"""The results of the training protocol as one table: docs/training-protocol.md says what is run.

    python -m benchmarks.fashion_mnist

Reads every log in benchmarks/results/fashion_mnist/ and writes summary.json and summary.md there.
Runs that the protocol names and that are not there are listed as missing, none is left out.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import entries
from benchmarks.tasks.verdicts import difference

RESULTS = Path(__file__).parent / "results" / "fashion_mnist"
SEEDS = range(5)
NORMS = {
    "ln": "Layer Normalization",
    "bn": "Batch Normalization over tokens",
    "un": "Unified Normalization, robust",
    "un-official": "Unified Normalization, official rule",
    "un-scaled": "Unified Normalization, robust, outlier tokens scaled down",
    "dyt": "DyT",
    "derf": "Derf",
}
"""The protocol's."""

OTHERS = {"rms": "RMSNorm", "none": "no norm"}
"""Norms that can be trained too, and are told of where there is a log of theirs."""

NOT_NAMED = {f"vit_micro_{norm}_seed0_rate3" for norm in ("un-scaled", "dyt", "derf")}
"""What the protocol does not ask for: only its first norms were run at another rate."""

SETTINGS = {"_outliers": "outlier batches", "_rate3": "three times the rate"}


def accuracies(folder: Path = RESULTS) -> dict[str, float]:
    """Test accuracy in per cent of every run that has ended, by the name of its log."""
    found = {}
    for path in sorted(folder.glob("vit_micro_*.jsonl")):
        end = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        if end["event"] == "end":
            found[path.stem] = 100 * end["test_accuracy"]
    return found


def summary(found: dict[str, float]) -> dict[str, Any]:
    """Everything that the protocol says is reported."""

    def log(norm: str, seed: int, setting: str = "") -> str:
        return f"vit_micro_{norm}_seed{seed}{setting}"

    names = [log(norm, seed) for norm in NORMS for seed in SEEDS]
    names += [log(norm, 0, setting) for setting in SETTINGS for norm in NORMS]
    names = [name for name in names if name not in NOT_NAMED]
    trained = [*NORMS, *(n for n in OTHERS if any(log(n, s) in found for s in SEEDS))]
    runs = {n: {s: found[log(n, s)] for s in SEEDS if log(n, s) in found} for n in trained}
    differences = {}
    for norm in trained:
        against_ln = difference(runs[norm], runs["ln"])
        if norm != "ln" and against_ln is not None and against_ln.seeds > 1:
            differences[norm] = asdict(against_ln)
    return {
        "test_accuracy": runs,
        "minus_ln": differences,
        "settings": {
            setting: {n: found[log(n, 0, setting)] for n in trained if log(n, 0, setting) in found}
            for setting in SETTINGS
        },
        "missing": [name for name in names if name not in found],
    }


def table(report: dict[str, Any]) -> str:
    """The summary in Markdown."""
    runs, found = report["test_accuracy"], report["minus_ln"]
    titles = {name: title for name, title in (NORMS | OTHERS).items() if name in runs}
    accuracy = [
        [title, *(shown(runs[n].get(s)) for s in SEEDS), shown(_mean(runs[n]), "")]
        for n, title in titles.items()
    ]
    differences = [
        [titles[n], f"{d['mean']:+.2f}", f"{d['low']:+.2f} to {d['high']:+.2f}", str(d["seeds"])]
        for n, d in found.items()
    ]
    settings = []
    for norm, title in titles.items():
        usual = runs[norm].get(0)
        others = [report["settings"][setting].get(norm) for setting in SETTINGS]
        changes = [f"{o - usual:+.2f}" if None not in (o, usual) else "" for o in others]
        both = zip(map(shown, others), changes, strict=True)
        settings.append([title, shown(usual), *chain.from_iterable(both)])
    columns = chain.from_iterable((title, "change") for title in SETTINGS.values())
    lines = [
        *entries.table(["test accuracy, %", *(f"seed {s}" for s in SEEDS), "mean"], accuracy),
        "",
        *entries.table(
            ["minus LN, paired by seed", "mean, points", "95 % interval", "seeds"], differences
        ),
        "",
        *entries.table(["seed 0, %", "as above", *columns], settings),
    ]
    return "\n".join(lines) + "\n"


def shown(accuracy: float | None, without: str = "not run") -> str:
    """In per cent."""
    return without if accuracy is None else f"{accuracy:.2f}"


def _mean(runs: dict[int, float]) -> float | None:
    return float(np.mean([*runs.values()])) if runs else None


def main() -> None:
    """Write both files and print the table."""
    report = summary(accuracies())
    (RESULTS / "summary.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "summary.md").write_text(table(report), encoding="utf-8")
    print(table(report))
    for name in report["missing"]:
        print(f"missing: {name}")


if __name__ == "__main__":
    main()
