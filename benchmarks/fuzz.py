"""Does a fold keep the answers? 5,000 random graphs in hostile surroundings, by ONNX Runtime.

    python -m benchmarks.fuzz [--graphs 5000] [--first 0] [--processes 2]
    python -m benchmarks.fuzz --seed 1234 [--save FOLDER]

`tests/support/fuzzer` draws a graph from each seed: the examples of every rule and blocks of
networks, put together, with operators around them that are none of the fold's business. Each is
folded, the fold is proven, and ONNX Runtime runs original and fold on several inputs. Every tenth
pair also goes to `verify`, which knows of no fold.

Counts go to benchmarks/results/fuzz.json and .md. The exit code is 1 where an answer is wrong, a
proof or a verdict refuses a right fold, or something crashes; where fewer than nine graphs in ten
could be judged, or fewer than two in five fold a norm of several channels through operators of two
rules or more; or where one of the surroundings, an operator that a norm passes or that takes it in,
in either direction, or a reason for which one stays, did not come up. `--seed` tries one graph,
tells what came of it, and writes no result.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import onnx
import onnx_ir as ir

from benchmarks.entries import keep, table
from tests.support.fuzzer.drawing.generate import fuzzed
from tests.support.fuzzer.reasons import reasons
from tests.support.fuzzer.seen import FAMILIES, NEVER, PLACES
from tests.support.fuzzer.trial import FAULTS, Trial, try_graph
from tests.support.fuzzer.unreached import REASONS
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.rules import rules
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "fuzz.json"
JUDGED = 0.9
"""The share of all graphs about which ONNX Runtime has to say something."""
THROUGH_TWO = 0.4
"""The share that has to fold a norm of several channels through operators of two rules or more."""
_VERIFIED = 10
"""One graph in so many goes to `verify`."""


class Counts:
    """What came of all graphs so far."""

    def __init__(self) -> None:
        self.graphs = self.judged = self.verified = 0
        self.norms: Counter[str] = Counter()
        self.through_two = 0
        self.operators: Counter[tuple[str, str, str]] = Counter()
        self.reasons: Counter[str] = Counter()
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
            self.through_two += trial.seen.most_rules > 1
            self.operators += trial.seen.operators
            self.reasons += trial.seen.reasons
            self.around += trial.seen.around

    def lacking(self) -> list[str]:
        """What should have come up and did not."""
        lacking = [
            f"{family} {place}"
            for family in FAMILIES
            for place in PLACES
            if not self.around[family, place] and (family, place) not in NEVER
        ]
        lacking += [
            f"a norm that folds {way} through or into {op_type}"
            for rule, op_type, way in _every_operator()
            if not self.operators[rule, op_type, way]
        ]
        lacking += [
            f"the reason {reason.name!r}"
            for reason in reasons()
            if not self.reasons[reason.name] and reason.name not in REASONS
        ]
        if self.through_two < THROUGH_TWO * self.graphs:
            lacking.append(f"a norm folded through two rules in {THROUGH_TWO:.0%} of the graphs")
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
            "through_two_rules": self.through_two,
            "rules": _nested(
                (rule, op_type, way, self.operators[rule, op_type, way])
                for rule, op_type, way in _every_operator()
            ),
            "reasons": {reason.name: self.reasons[reason.name] for reason in reasons()},
            "around": {
                place: {family: self.around[family, place] for family in FAMILIES}
                for place in PLACES
            },
            "lacking": self.lacking(),
        }


def _every_operator() -> Iterator[tuple[str, str, str]]:
    """The rule, the operator and the direction; nothing passes forward into a norm."""
    for rule in rules():
        for op_type, operator in rule.ops.items():
            for way in ("backward",) if operator.measures else ("forward", "backward"):
                yield type(rule).__name__, op_type, way


def _nested(
    counts: Iterable[tuple[str, str, str, int]],
) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by rule, operator and direction."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for rule, op_type, way, count in counts:
        found.setdefault(rule, {}).setdefault(op_type, {})[way] = count
    return found


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
        f"{found['through_two_rules']:,} graphs "
        f"({found['through_two_rules'] / max(found['graphs'], 1):.0%}) fold a norm whose channels",
        "differ through or into operators of two rules or more.",
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
        "Forward they come to an operator by an input, backward by its output.",
        "",
        *table(
            ["rule", "operator", "forward", "backward"],
            (
                [rule, op_type, *(str(ways.get(way, "")) for way in ("forward", "backward"))]
                for rule, operators in found["rules"].items()
                for op_type, ways in operators.items()
            ),
        ),
        "",
        "## Why norms stay",
        "",
        "Read from the source of the fold; `_` is a number or a name.",
        "",
        *table(["file and reason", "told"], _told(found["reasons"])),
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


def _told(counts: dict[str, int]) -> Iterator[list[str]]:
    for name, count in counts.items():
        yield [f"`{name}`", str(count) if count else REASONS.get(name, "0")]


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
