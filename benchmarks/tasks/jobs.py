"""Every training and judgement that the protocols name, in the order in which they are run.

docs/training-protocol.md is the protocol of Fashion-MNIST, docs/translation-protocol.md the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEEDS = range(5)
TRAINED = ("dyt", "derf", "un-scaled")
"""Norms of the last extension of Fashion-MNIST's protocol."""

WHY_SEEDS = range(2)
WHY_NORMS = ("dyt", "derf")
WHY_ALPHA = 2.0
"""Of the experiment on why the two are behind."""

TRANSLATION_SEEDS = range(3)
TRANSLATION_NORMS = ("ln", "un", "dyt")


@dataclass(frozen=True)
class Job:
    """One run, which writes a log of JSON lines whose last event is "end" once it is complete.

    Attributes:
        log: where, under the folder of all runs.
        command: module and arguments; "{out}" stands for the folder of all runs.
    """

    log: str
    command: tuple[str, ...]

    def is_done(self, out: Path) -> bool:
        """Whether its log has ended."""
        log = out / self.log
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        return bool(lines) and json.loads(lines[-1])["event"] == "end"


def fashion_mnist() -> Iterator[Job]:
    """What the last extension of docs/training-protocol.md names."""
    for seed in SEEDS:
        for norm in TRAINED:
            yield _training("vit_micro", norm, seed)
            name = f"vit_micro_{norm}_seed{seed}"
            yield Job(
                f"fashion_mnist/folded/{name}.jsonl",
                (
                    *("benchmarks.tasks.folded_accuracy", norm),
                    *(f"{{out}}/fashion_mnist/{name}.pt", "{out}/fashion_mnist/folded"),
                ),
            )
    for norm in TRAINED:
        yield _training("vit_micro", norm, 0, outliers=True)
    for network in ("t2t_vit_micro", "swin_micro"):
        for norm in ("ln", "un-scaled"):
            yield _training(network, norm, 0)
    for seed in WHY_SEEDS:
        for norm in WHY_NORMS:
            yield _training("vit_micro", norm, seed, alpha=WHY_ALPHA)


def _training(
    network: str, norm: str, seed: int, outliers: bool = False, alpha: float | None = None
) -> Job:
    setting = "_outliers" if outliers else "" if alpha is None else f"_alpha{alpha:g}"
    return Job(
        f"fashion_mnist/{network}_{norm}_seed{seed}{setting}.jsonl",
        (
            *("models.fashion_mnist.train", "--network", network, "--norm", norm),
            *("--seed", str(seed), "--threads", "1", "--out", "{out}/fashion_mnist"),
            *(["--outliers"] if outliers else []),
            *([] if alpha is None else ["--alpha", str(alpha)]),
        ),
    )


def translation() -> Iterator[Job]:
    """What docs/translation-protocol.md names; its data lie in translation/data."""
    yield Job(
        "translation/bfloat16.jsonl",
        ("benchmarks.translation.bfloat16", "{out}/translation/data", "{out}/translation"),
    )
    for seed in TRANSLATION_SEEDS:
        for norm in TRANSLATION_NORMS:
            yield from _translation(norm, seed)
    for norm in TRANSLATION_NORMS:
        yield from _translation(norm, 0, outliers=True)


def _translation(norm: str, seed: int, outliers: bool = False) -> Iterator[Job]:
    name = f"nmt_{norm}_seed{seed}{'_outliers' if outliers else ''}"
    yield Job(
        f"translation/{name}.jsonl",
        (
            *("benchmarks.translation.train", "--norm", norm, "--seed", str(seed)),
            *("--data", "{out}/translation/data", "--out", "{out}/translation"),
            *(["--outliers"] if outliers else []),
        ),
    )
    yield Job(
        f"translation/judged/{name}.jsonl",
        (
            *("benchmarks.translation.judge", norm, f"{{out}}/translation/{name}.pt"),
            *("{out}/translation/data", "{out}/translation/judged"),
        ),
    )


JOBS = (*fashion_mnist(), *translation())
