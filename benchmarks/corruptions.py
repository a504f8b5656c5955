"""Does the proof see what is wrong? 2,000 folds damaged at random places of ten networks.

    python -m benchmarks.corruptions [--per-network 200] [--seed 0]

A damage is seen where the verdict is not that the two are equal, and where what is told names the
damaged operator or constant, or what reads it. The kinds of damage take turns, each at places that
its seed draws; one that a network offers no place for is left out. Counts go to
benchmarks/results/corruptions.json and .md; the exit code is 1 if a damage was not seen.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import click

from benchmarks.entries import table
from tests.support.corruptor.corrupt import KINDS, Corruptor
from tests.support.corruptor.judge import unseen
from tests.support.corruptor.networks import NETWORKS, folded_network
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "corruptions.json"


def of_network(name: str, wanted: int, first_seed: int) -> dict[str, Any]:
    """How many damages of each kind one network got, and what was not seen of them."""
    original, folded = folded_network(name)
    corruptor = Corruptor(folded.model)
    made: Counter[str] = Counter()
    missed = []
    for seed in count(first_seed):
        for kind in KINDS:
            if made.total() == wanted:
                return {
                    "network": name,
                    "operators": len(folded.model.graph),
                    "folded": len(folded.report.folded),
                    "made": {kind: made[kind] for kind in KINDS},
                    "not_seen": missed,
                }
            damaged = corruptor.damaged(kind, seed)
            if damaged is None:
                continue
            made[kind] += 1
            if why := unseen(original, damaged):
                missed.append(f"{kind}, seed {seed}: {why}")
    raise AssertionError("unreachable: seeds do not end")


def page(entries: list[dict[str, Any]], seed: int) -> str:
    """The counts as a table in Markdown."""
    made = sum(sum(one["made"].values()) for one in entries)
    missed = sum(len(one["not_seen"]) for one in entries)
    rows = []
    for kind in KINDS:
        counts = [one["made"][kind] for one in entries]
        rows.append([kind, *(str(number or "") for number in counts), str(sum(counts))])
    head = ["damage", *(one["network"] for one in entries), "all"]
    folded = ", ".join(f"{e['network']} {e['folded']} of {e['operators']}" for e in entries)
    lines = [
        "# What the proof sees of folds damaged at random places",
        "",
        f"corruptions.json: {made:,} damages, seeds from {seed} on; {made - missed:,} of them were",
        "seen and named. Made by `make corruptions`.",
        "",
        *table(head, rows),
        "",
        f"Norms that were folded, and operators left: {folded}.",
    ]
    lines += [f"- not seen: {e['network']}: {text}" for e in entries for text in e["not_seen"]]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--per-network", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(per_network: int, seed: int) -> None:
    """Damage, judge, print a line for each network, and write the counts."""
    entries = []
    for name in NETWORKS:
        entries.append(of_network(name, per_network, seed))
        missed = entries[-1]["not_seen"]
        click.echo(f"{name:18} {per_network} made, {len(missed)} not seen")
        for text in missed:
            click.echo(f"  {text}")
    result = {"environment": environment(), "seed": seed, "entries": entries}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text(page(entries, seed), encoding="utf-8")
    sys.exit(int(any(one["not_seen"] for one in entries)))


if __name__ == "__main__":
    main()
