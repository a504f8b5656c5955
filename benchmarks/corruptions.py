"""Does the proof see what is wrong? 2,000 folds damaged at random places of ten networks.

    python -m benchmarks.corruptions [--per-network 200] [--seed 0] [--judge verify]

A damage is seen where the proof does not pass, and where the first problem that it tells is at the
damaged operator or constant, or at what reads it. The kinds of damage take turns, each at places
that its seed draws; one that a network offers no place for is left out, and none is made twice.
`--judge verify` asks for the verdict on the two models alone, by which any problem may be the
damage's; it runs what it does not know to be a fold, and takes an hour.

Counts go to benchmarks/results/corruptions.json and .md; the exit code is 1 if a damage was not
seen.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import click
import onnx_ir as ir

from benchmarks.entries import keep, table
from tests.support.corruptor.corrupt import KINDS, Corruptor
from tests.support.corruptor.judge import unseen, unseen_by_the_proof
from tests.support.corruptor.networks import NETWORKS, folded_network
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "corruptions.json"


def of_network(name: str, wanted: int, first_seed: int, judge: str) -> dict[str, Any]:
    """How many damages of each kind one network got, each once, and what was not seen of them."""
    original, folded = folded_network(name)
    corruptor = Corruptor(folded.model)
    made: Counter[str] = Counter()
    missed: list[str] = []
    drawn: set[bytes] = set()
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
            if damaged is None or (found := _digest(damaged.model)) in drawn:
                continue
            drawn.add(found)
            made[kind] += 1
            try:
                if judge == "proof":
                    why = unseen_by_the_proof(original, folded, damaged)
                else:
                    why = unseen(original, damaged)
            except Exception as error:  # no verdict is none that was seen
                why = f"{error!r}: {damaged.place.text}"
            if why:
                missed.append(f"{kind}, seed {seed}: {why}")
    raise AssertionError("unreachable: seeds do not end")


def _digest(model: ir.Model) -> bytes:
    return hashlib.sha256(ir.to_proto(model).SerializeToString(deterministic=True)).digest()


def page(entries: list[dict[str, Any]], seed: int, judge: str) -> str:
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
        f"corruptions.json: {made:,} different damages, seeds from {seed} on; {made - missed:,} of",
        f"them were seen and named, judged by `{judge}`. Made by `make corruptions`.",
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
@click.option("--judge", type=click.Choice(["proof", "verify"]), default="proof", show_default=True)
def main(per_network: int, seed: int, judge: str) -> None:
    """Damage, judge, print a line for each network, and write the counts."""
    entries = []
    for name in NETWORKS:
        entries.append(of_network(name, per_network, seed, judge))
        missed = entries[-1]["not_seen"]
        click.echo(f"{name:18} {per_network} made, {len(missed)} not seen")
        for text in missed:
            click.echo(f"  {text}")
    result = {"environment": environment(), "judge": judge, "seed": seed, "entries": entries}
    keep(RESULT, result, page(entries, seed, judge))
    sys.exit(int(any(one["not_seen"] for one in entries)))


if __name__ == "__main__":
    main()
