"""What the logs of the two tasks say, by norm and seed. Only runs that have ended count."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tasks.verdicts import Runs

RESULTS = Path(__file__).parents[1] / "results"
SEEDS = range(5)

Log = list[dict[str, Any]]


def read(path: Path) -> Log:
    """The lines of a log; none where the run has not ended."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    log = [json.loads(line) for line in lines]
    return log if log and log[-1]["event"] == "end" else []


def of_seeds(folder: Path, name: str) -> Iterator[tuple[int, Log]]:
    """The logs of every seed that has ended; name holds "{seed}"."""
    for seed in SEEDS:
        log = read(folder / f"{name.format(seed=seed)}.jsonl")
        if log:
            yield seed, log


def accuracy(norm: str, folder: Path = RESULTS / "fashion_mnist", setting: str = "") -> Runs:
    """Test accuracy of vit_micro in per cent, by seed."""
    name = f"vit_micro_{norm}_seed{{seed}}{setting}"
    return {s: 100 * log[-1]["test_accuracy"] for s, log in of_seeds(folder, name)}


def epochs_to(norm: str, wanted: float, folder: Path = RESULTS / "fashion_mnist") -> int | None:
    """After how many epochs the seeds' mean test accuracy reaches so many per cent, if it does."""
    logs = [log for _, log in of_seeds(folder, f"vit_micro_{norm}_seed{{seed}}")]
    rows = [[line["test_accuracy"] for line in log if line["event"] == "epoch"] for log in logs]
    means = 100 * np.mean(rows, axis=0) if rows else np.empty(0)
    reached = np.flatnonzero(means >= wanted)
    return int(reached[0]) + 1 if len(reached) else None


def bleu(norm: str, folder: Path = RESULTS / "translation", setting: str = "") -> Runs:
    """BLEU of PyTorch's translations, by seed."""
    name = f"nmt_{norm}_seed{{seed}}{setting}"
    return {s: log[-1]["bleu"] for s, log in of_seeds(folder / "judged", name)}


def translation_loss(norm: str, folder: Path = RESULTS / "translation", setting: str = "") -> Runs:
    """Nats a token on the test, by seed; lower is better."""
    name = f"nmt_{norm}_seed{{seed}}{setting}"
    return {s: log[-1]["test_loss"] for s, log in of_seeds(folder, name)}


def folded(folder: Path, name: str) -> Mapping[int, dict[str, Any]]:
    """What was judged of the folded graphs, by seed."""
    return {seed: log[-1] for seed, log in of_seeds(folder, name)}


def short_trainings(
    rule: str, outliers: bool, folder: Path = RESULTS / "outlier_trainings"
) -> Runs:
    """Test accuracy in per cent of `benchmarks.outlier_trainings`, by seed."""
    found = {}
    for seed in SEEDS:
        path = folder / f"{rule}_seed{seed}{'_outliers' if outliers else ''}.json"
        if path.is_file():
            found[seed] = 100 * json.loads(path.read_text(encoding="utf-8"))["test_accuracy"]
    return found
