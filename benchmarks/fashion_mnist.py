"""The results of the training protocol as one table: docs/training-protocol.md says what is run.

    python -m benchmarks.fashion_mnist

Reads every log in benchmarks/results/fashion_mnist/ and writes summary.json and summary.md there.
Runs that the protocol names and that are not there are listed as missing, none is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

RESULTS = Path(__file__).parent / "results" / "fashion_mnist"
SEEDS = range(5)
NORMS = {
    "ln": "Layer Normalization",
    "bn": "Batch Normalization over tokens",
    "un": "Unified Normalization, robust",
    "un-official": "Unified Normalization, official rule",
}
SETTINGS = {"_outliers": "outlier batches", "_rate3": "three times the rate"}


def accuracies(folder: Path = RESULTS) -> dict[str, float]:
    """Test accuracy in per cent of every run that has ended, by the name of its log."""
    found = {}
    for path in sorted(folder.glob("vit_micro_*.jsonl")):
        end = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
        if end["event"] == "end":
            found[path.stem] = 100 * end["test_accuracy"]
    return found


def paired(first: list[float], second: list[float]) -> dict[str, float | int]:
    """Mean of first - second over seeds, and its 95 % interval by Student's t."""
    differences = np.subtract(first, second)
    seeds = len(differences)
    half = stats.t.ppf(0.975, seeds - 1) * differences.std(ddof=1) / seeds**0.5
    mean = float(differences.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "seeds": seeds}


def summary(found: dict[str, float]) -> dict[str, Any]:
    """Everything that the protocol says is reported."""
    names = [f"vit_micro_{norm}_seed{seed}" for norm in NORMS for seed in SEEDS]
    names += [f"vit_micro_{norm}_seed0{setting}" for setting in SETTINGS for norm in NORMS]
    by_norm = {
        norm: {s: found[name] for s in SEEDS if (name := f"vit_micro_{norm}_seed{s}") in found}
        for norm in NORMS
    }
    differences = {}
    for norm in NORMS:
        both = sorted(by_norm[norm].keys() & by_norm["ln"].keys())
        if norm != "ln" and len(both) > 1:
            differences[norm] = paired(*([by_norm[k][s] for s in both] for k in (norm, "ln")))
    return {
        "test_accuracy": by_norm,
        "minus_ln": differences,
        "settings": {
            setting: {
                norm: found[name]
                for norm in NORMS
                if (name := f"vit_micro_{norm}_seed0{setting}") in found
            }
            for setting in SETTINGS
        },
        "missing": [name for name in names if name not in found],
    }


def table(report: dict[str, Any]) -> str:
    """The summary in Markdown."""
    lines = ["| test accuracy, % | " + " | ".join(f"seed {s}" for s in SEEDS) + " | mean |"]
    lines.append("|---" * (len(SEEDS) + 2) + "|")
    for norm, title in NORMS.items():
        runs = report["test_accuracy"][norm]
        cells = [f"{runs[s]:.2f}" if s in runs else "not run" for s in SEEDS]
        mean = f"{np.mean([*runs.values()]):.2f}" if runs else ""
        lines.append(f"| {title} | {' | '.join(cells)} | {mean} |")
    lines += [
        "",
        "| minus LN, paired by seed | mean, points | 95 % interval | seeds |",
        "|---|---|---|---|",
    ]
    for norm, found in report["minus_ln"].items():
        interval = f"{found['low']:+.2f} to {found['high']:+.2f}"
        lines.append(f"| {NORMS[norm]} | {found['mean']:+.2f} | {interval} | {found['seeds']} |")
    lines += [
        "",
        "| seed 0, % | as above | "
        + " | ".join(f"{title} | change" for title in SETTINGS.values())
        + " |",
    ]
    lines.append("|---" * (2 + 2 * len(SETTINGS)) + "|")
    for norm, title in NORMS.items():
        usual = report["test_accuracy"][norm].get(0)
        cells = ["not run" if usual is None else f"{usual:.2f}"]
        for setting in SETTINGS:
            other = report["settings"][setting].get(norm)
            cells.append("not run" if other is None else f"{other:.2f}")
            both = usual is not None and other is not None
            cells.append(f"{other - usual:+.2f}" if both else "")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
