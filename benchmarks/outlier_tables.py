"""The page of the rules for outlier tokens: every cell, and the trainings.

    python -m benchmarks.outlier_tables

Reads what `benchmarks.outlier_cells`, `benchmarks.outlier_trainings` and `benchmarks.outlier_cost`
have left, and writes the tables of benchmarks/results/outlier_tokens.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import entries
from benchmarks.outlier_cells import IMAGES, stage
from benchmarks.outlier_cost import RESULT as COST
from benchmarks.outlier_trainings import RESULTS, SEEDS, name
from un_deploy.quantiles import student_factor

PAGE = Path(__file__).parent / "results" / "outlier_tokens.md"
TABLES = "## Tables\n"
KINDS = (
    *(
        (f"{n} of 64 images", lambda c, n=n: c["images"] == n and not c["every_step"])
        for n in IMAGES
    ),
    ("5 images, in every step", lambda c: c["every_step"]),
)

Cells = dict[tuple[str, str, int], list[dict[str, Any]]]
"""By kind, place and size: one for each network."""


def cells_of(found: list[dict[str, Any]]) -> Cells:
    """All cells of one rule."""
    grouped: Cells = {}
    for entry in found:
        for kind, belongs in KINDS:
            for cell in filter(belongs, entry["cells"]):
                grouped.setdefault((kind, cell["place"], cell["size"]), []).append(cell)
        for cell in entry["large_class_token"]["cells"]:
            grouped.setdefault(("5 images, large class", cell["place"], cell["size"]), []).append(
                cell
            )
    return grouped


def worst(cells: list[dict[str, Any]], of: str) -> float:
    """The lowest cosine."""
    return float(min(cell[of][0] for cell in cells))


def cell_tables(name_of_stage: str) -> Iterator[str]:
    """Worst cells of each rule, then all of them."""
    found = stage(name_of_stage)
    rules = list(dict.fromkeys(entry["rule"] for entry in found))
    cells = {rule: cells_of([e for e in found if e["rule"] == rule]) for rule in rules}
    kinds = list(dict.fromkeys(kind for kind, _, _ in cells[rules[0]]))
    rows = []
    for rule in rules:
        row = [rule]
        for kind in kinds:
            part = [c for key, cs in cells[rule].items() if key[0] == kind for c in cs]
            row.append(f"{worst(part, 'others'):.3f}, {worst(part, 'whole'):.3f}")
        own = [e for e in found if e["rule"] == rule]
        row.append(f"{max(e['large_class_token']['moved'] for e in own):.2g}")
        row.append(str(max(e["scaled_in_clean_batches"] for e in own)))
        always = own[0]["always_large"]
        for order in ("sequences", "tokens"):
            of_order = [share for key, share in always.items() if key.startswith(order)]
            row.append(", ".join(f"{share:.0%}" for share in of_order) or "none")
        rows.append(row)
    head = ["worst cosines: others, whole", *kinds, "moved by a large class token"]
    head += ["scaled, of 259,200 clean tokens"]
    head += [f"always large, {order} first, scaled" for order in ("sequences", "tokens")]
    yield from entries.table(head, rows)
    yield ""
    yield from entries.table(
        ["others, whole, ratio of lengths", "place", "size", *rules],
        (
            [*map(str, key), *("; ".join(map(shown, cells[rule][key])) for rule in rules)]
            for key in cells[rules[0]]
        ),
    )


def shown(cell: dict[str, Any]) -> str:
    """One cell."""
    return f"{cell['others'][0]:.3f}, {cell['whole'][0]:.2f}, {cell['whole'][1]:.2f}"


def trainings() -> dict[str, dict[str, Any]]:
    """Logs by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def interval(values: list[float], form: str) -> str:
    """Mean, standard deviation, and 95 % interval of Student's t."""
    if len(values) < 2:
        return "too few"
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    half = student_factor(len(values) - 1, 0.95) * deviation / len(values) ** 0.5
    numbers = (mean, mean - half, mean + half)
    mean_text, low, high = (format(number, "+" + form) for number in numbers)
    return f"{mean_text}, {deviation:{form}}, [{low}, {high}], {len(values)} seeds"


def training_tables() -> Iterator[str]:
    """Every run, then the differences to clean training by the rule as it was."""
    runs = trainings()
    kinds = list(dict.fromkeys((run["rule"], run["outliers"]) for run in runs.values()))
    rows, differences = [], []
    for rule, outliers in kinds:
        title = f"{rule}, {'with outliers' if outliers else 'clean'}"
        row, accuracy, loss, same = [title], [], [], []
        for seed in SEEDS:
            run, base = runs.get(name(rule, seed, outliers)), runs.get(name("un", seed, False))
            if run is None:
                row.append("not run")
                continue
            row.append(f"{run['test_accuracy']:.2%}, {run['test_loss']:.4f}")
            if base is not None:
                accuracy.append(100 * (run["test_accuracy"] - base["test_accuracy"]))
                loss.append(run["test_loss"] - base["test_loss"])
                same.append(run["weights"] == base["weights"])
        rows.append(
            [
                *row,
                str(
                    [
                        runs[name(rule, s, outliers)]["tokens_scaled"]
                        for s in SEEDS
                        if name(rule, s, outliers) in runs
                    ]
                ),
            ]
        )
        if (rule, outliers) != ("un", False):
            differences.append(
                [
                    title,
                    interval(loss, ".4f"),
                    interval(accuracy, ".2f"),
                    f"{sum(same)} of {len(same)}",
                ]
            )
    yield from entries.table(
        ["test accuracy, loss", *(f"seed {seed}" for seed in SEEDS), "tokens scaled"], rows
    )
    yield ""
    yield from entries.table(
        [
            "minus un, clean, paired by seed: mean, SD, 95 % interval",
            "test loss",
            "accuracy, points",
            "weights equal bit for bit",
        ],
        differences,
    )


def cost_table() -> Iterator[str]:
    """The step with the rule over the step without it, and the control."""
    found = entries.read(COST)
    names = list(found[0]["over_before"])
    yield from entries.table(
        ["over the step before, 98 % interval", *names],
        (
            [
                f"{entry['shape']}, {'compiled' if entry['compiled'] else 'eager'}",
                *(
                    f"{r['ratio']:.3f} [{r['low']:.3f}, {r['high']:.3f}]"
                    for r in (entry["over_before"][name] for name in names)
                ),
            ]
            for entry in found
        ),
    )


def main() -> None:
    """Write the tables behind the page's prose."""
    prose = PAGE.read_text(encoding="utf-8").split(TABLES)[0] if PAGE.is_file() else ""
    lines = ["### Choosing", "", *cell_tables("choose"), "", "### Judging", ""]
    lines += [*cell_tables("judge"), "", "### Training", "", *training_tables()]
    lines += ["", "### Cost", "", *cost_table()]
    PAGE.write_text(prose + TABLES + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
