"""Does a fold keep the answers? 5,000 random graphs in hostile surroundings, by ONNX Runtime.

    python -m benchmarks.fuzz [--graphs 5000] [--first 0] [--processes 2]
    python -m benchmarks.fuzz --seed 1234 [--save FOLDER]

`tests/support/fuzzer` draws a graph from each seed: the examples of every rule and blocks of
networks, put together, with operators around them that are none of the fold's business. Each is
folded, the fold is proven, and ONNX Runtime runs original and fold on several inputs. Every tenth
pair also goes to `verify`, which knows of no fold.

Counts go to benchmarks/results/fuzz.json and .md. The exit code is 1 where an answer is wrong, a
proof or a verdict refuses a right fold, or something crashes; where fewer than nine graphs in ten
could be judged; or where one of the surroundings, or an operator that takes norms in, did not come
up. `--seed` tries one graph, tells what came of it, and writes no result.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import onnx
import onnx_ir as ir

from benchmarks.entries import keep, table
from tests.support.fuzzer.generate import fuzzed
from tests.support.fuzzer.seen import FAMILIES, NEVER, PLACES
from tests.support.fuzzer.trial import FAULTS, Trial, try_graph
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.rules import rules
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "fuzz.json"
JUDGED = 0.9
"""The share of all graphs about which ONNX Runtime has to say something."""
_VERIFIED = 10
"""One graph in so many goes to `verify`."""


class Counts:
    """What came of all graphs so far."""

    def __init__(self) -> None:
        self.graphs = self.judged = self.verified = 0
        self.norms: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.around: Counter[tuple[str, str]] = Counter()
        self.types: Counter[str] = Counter()
        self.opsets: Counter[int] = Counter()
        self.not_judged: Counter[str] = Counter()
        self.faults: dict[str, list[str]] = {kind: [] for kind in FAULTS}
        self.share = 0.0

    def add(self, trial: Trial) -> None:
        self.graphs += 1
        self.verified += trial.graph.seed % _VERIFIED == 0
        self.types[trial.graph.dtype] += 1
        self.opsets[trial.graph.opset] += 1
        for kind, text in trial.faults.items():
            self.faults[kind].append(f"seed {trial.graph.seed}: {text}")
        if trial.not_judged:
            self.not_judged[trial.not_judged.splitlines()[0]] += 1
        elif "crash" not in trial.faults:
            self.judged += 1
        self.share = max(self.share, trial.share)
        if trial.seen is not None:
            self.norms += trial.seen.norms
            self.rules += trial.seen.rules
            self.around += trial.seen.around

    def lacking(self) -> list[str]:
        """What should have come up and did not."""
        lacking = [
            f"{family} {place}"
            for family in FAMILIES
            for place in PLACES
            if not self.around[family, place] and (family, place) not in NEVER
        ]
        names = (type(rule).__name__ for rule in rules())
        lacking += [f"a fold with the rule {name}" for name in names if not self.rules[name]]
        if self.judged < JUDGED * self.graphs:
            lacking.append(f"a judgement of {JUDGED:.0%} of the graphs")
        return lacking

    def to_dict(self) -> dict[str, Any]:
        return {
            "graphs": self.graphs,
            "judged": self.judged,
            "verified": self.verified,
            "faults": self.faults,
            "largest_share_of_what_is_allowed": self.share,
            "not_judged": dict(self.not_judged.most_common()),
            "norms": dict(self.norms),
            "types": dict(sorted(self.types.items())),
            "opsets": {str(opset): n for opset, n in sorted(self.opsets.items())},
            "rules": dict(sorted(self.rules.items())),
            "around": {
                place: {family: self.around[family, place] for family in FAMILIES}
                for place in PLACES
            },
            "lacking": self.lacking(),
        }


def page(found: dict[str, Any], first: int) -> str:
    """The counts in Markdown."""
    faults = {kind: len(texts) for kind, texts in found["faults"].items()}
    norms = found["norms"]
    lines = [
        "# Random graphs in hostile surroundings",
        "",
        f"fuzz.json: {found['graphs']:,} graphs, seeds from {first} on. ONNX Runtime judged",
        f"{found['judged']:,} of them, original against fold; the largest difference was "
        f"{found['largest_share_of_what_is_allowed']:.2f}",
        f"of what rounding may explain. `verify` was asked about {found['verified']:,} pairs.",
        "Made by `make fuzz`.",
        "",
        *table(["fault", "graphs"], ([kind, str(n)] for kind, n in faults.items())),
        "",
        "Norms: " + ", ".join(f"{n:,} {what}" for what, n in norms.items()) + ".",
        "",
        "## What stood around norms that folded",
        "",
        *table(
            ["place", *FAMILIES],
            ([place, *map(str, row.values())] for place, row in found["around"].items()),
        ),
        "",
        "No shape is known behind a Loop, an If or a Scan, and without one no norm is found.",
        "",
        "## What norms folded through or into",
        "",
        *table(["rule", "operators"], ([name, str(n)] for name, n in found["rules"].items())),
        "",
        "## Types and opsets",
        "",
        *table(["type", "graphs"], ([name, str(n)] for name, n in found["types"].items())),
        "",
        *table(["opset", "graphs"], ([name, str(n)] for name, n in found["opsets"].items())),
    ]
    if found["not_judged"]:
        lines += ["", "## Not judged", ""]
        lines += table(["why", "graphs"], ([t, str(n)] for t, n in found["not_judged"].items()))
    told = [f"{kind}, {text}" for kind, texts in found["faults"].items() for text in texts]
    told += [f"did not come up: {text}" for text in found["lacking"]]
    if told:
        lines += ["", "## Faults", "", *(f"- {text}" for text in told)]
    return "\n".join(lines) + "\n"


def tried(seed: int) -> Trial:
    """What comes of the graph of a seed."""
    return try_graph(fuzzed(seed), verified=seed % _VERIFIED == 0)


def trials(seeds: range, processes: int) -> Iterator[Trial]:
    """What comes of all of them, in order."""
    if processes == 1:
        yield from map(tried, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(tried, seeds, chunksize=5)


def replay(seed: int, folder: Path | None) -> Trial:
    """Try one graph again and print what it is and what came of it."""
    graph = fuzzed(seed)
    click.echo(f"{graph.dtype}, opset {graph.opset}: {', '.join(graph.parts)}")
    click.echo(onnx.printer.to_text(graph.model.graph))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(graph.model, folder / "original.onnx")
        folded = fold_graph(ir.from_proto(graph.model))
        onnx.save(ir.to_proto(folded.model), folder / "folded.onnx")
    trial = try_graph(graph, verified=True)
    click.echo(f"judged: {trial.not_judged or f'{trial.share:.2g} of what is allowed'}")
    return trial


@click.command()
@click.option("--graphs", default=5000, show_default=True)
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--processes", default=2, show_default=True)
@click.option("--seed", type=int, help="Try this one alone.")
@click.option(
    "--save", type=click.Path(path_type=Path), help="Where to save that one, with its fold."
)
def main(graphs: int, first: int, processes: int, seed: int | None, save: Path | None) -> None:
    """Try graphs, tell what went wrong, and write the counts."""
    if seed is not None:
        trial = replay(seed, save)
        for kind, text in trial.faults.items():
            click.echo(f"{kind}: {text}")
        sys.exit(int(bool(trial.faults)))
    counts = Counts()
    for trial in trials(range(first, first + graphs), processes):
        counts.add(trial)
        for kind, text in trial.faults.items():
            click.echo(f"seed {trial.graph.seed}: {kind}: {text}")
        if counts.graphs % 500 == 0:
            click.echo(f"{counts.graphs} graphs, {counts.judged} judged")
    found = counts.to_dict()
    result = {"environment": environment(), "first": first, **found}
    keep(RESULT, result, page(found, first))
    for text in found["lacking"]:
        click.echo(f"did not come up: {text}")
    sys.exit(int(any(found["faults"].values()) or bool(found["lacking"])))


if __name__ == "__main__":
    main()
