"""What becomes of damaged files? 10,000 mutations of ten small files, through four commands.

    python -m benchmarks.mutations [--number 10000] [--seed 0]

Bytes and bits, truncations, pieces that are missing or there twice, protobuf fields, names that are
not UTF-8, unknown types, impossible sizes, and weights at hostile places take turns, each at a
place that its seed draws. Every file goes through inspect, fold, verify (against the whole one) and
strip, half of the time with --force onto an old target. What is counted as wrong stands in
`tests.support.mutator.judge`; what it says of seconds is that nothing hangs.

Counts go to benchmarks/results/mutations.json and .md; the exit code is 1 if something went wrong.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from benchmarks.entries import keep, table
from tests.support.mutator.files import FILES, files_of
from tests.support.mutator.judge import Verdict, drawn, judged
from tests.support.mutator.mutate import KINDS
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "mutations.json"


def page(result: dict[str, Any]) -> str:
    """The counts as a table in Markdown."""
    made, ended = result["made"], result["ended"]
    rows = []
    for kind in KINDS:
        counts = [made[name][kind] for name in FILES]
        rows.append([kind, *map(str, counts), str(sum(counts))])
    commands = [[name, *(str(ended[name].get(str(n), 0)) for n in (0, 1, 3))] for name in ended]
    wrong = result["wrong"]
    return "\n".join(
        [
            "# What becomes of damaged files",
            "",
            f"mutations.json: {result['number']:,} mutations, seeds from {result['seed']} on;",
            f"{len(wrong):,} went wrong: a traceback, more than ten seconds, a process that died,",
            "a target that is neither the old one nor whole, or something left beside it.",
            "Made by `python -m benchmarks.mutations`.",
            "",
            *table(["mutation", *FILES, "all"], rows),
            "",
            "How the commands ended, by exit code:",
            "",
            *table(["command", "0: done", "1: refused in a line", "3: not equal"], commands),
            "",
            *(f"- wrong: {text}" for text in wrong),
        ]
    )


@click.command()
@click.option("--number", default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(number: int, seed: int) -> None:
    """Mutate, judge, say what went wrong, and write the counts."""
    for name in FILES:
        files_of(name)  # before the processes that judge are forked
    wrong: list[str] = []
    made = {name: dict.fromkeys(KINDS, 0) for name in FILES}
    ended: dict[str, Counter[str]] = {}
    for mutation, verdict in zip(
        drawn(number, seed), judged(list(drawn(number, seed))), strict=True
    ):
        made[mutation.file][mutation.kind] += 1
        _count(ended, verdict)
        for text in verdict.wrong:
            wrong.append(f"{mutation.file}, {mutation.kind}, seed {mutation.seed}: {text}")
            click.echo(wrong[-1])
    result = {
        "environment": environment(), "number": number, "seed": seed, "made": made,
        "ended": ended, "wrong": wrong,
    }  # fmt: skip
    keep(RESULT, result, page(result))
    click.echo(f"{number:,} mutations, {len(wrong)} went wrong")
    sys.exit(int(bool(wrong)))


def _count(ended: dict[str, Counter[str]], verdict: Verdict) -> None:
    for command, code in verdict.codes.items():
        ended.setdefault(command, Counter())[str(code)] += 1


if __name__ == "__main__":
    main()
