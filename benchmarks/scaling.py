"""How do the time and the memory of a fold and of a verification grow with the network?

    python -m benchmarks.scaling [--only depth] [--rounds 3] [--write]

Two generated networks of 16 channels: `depth` stacks pre-norm transformer blocks (one head, an MLP
of one hidden layer), 12 to 384 of them, between an input and a last norm that cannot go; `width`
lets 2 to 2,000 branches, each a norm and a linear layer, start from one tensor, and joins them by a
chain of Adds. Each size is loaded and saved, folded (with the proof) and verified, in a fresh
process each; loading and saving is done twice in turn, and what differs between the two is noise.
The CPU time (user and system) is that of the process less that of one that only imports the same;
the peak is the largest resident memory. Medians over the rounds. A doubling is the ratio of two
neighbouring sizes' times; the last one of each network must not pass the limit.

--write puts the result to benchmarks/results/scaling.json, one entry a network, replaced when it is
measured again, and a table to scaling.md beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import onnx_ir as ir

from benchmarks import entries
from benchmarks.fold_cost import BASE, LOAD_SAVE, OURS, run
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "scaling.json"
CHANNELS = 16
SIZES = {
    "depth": (12, 24, 48, 96, 192, 384),
    "width": (2, 4, 8, 16, 32, 64, 125, 250, 500, 1000, 2000),
}
LIMIT = 2.2

FOLD = """
import sys
fold_file(*sys.argv[1:])
"""
VERIFY = """
import sys
from un_deploy.measure.equality.verify import verify
assert verify(*sys.argv[1:]).verdict == "proven"
"""
WAYS = {
    "load and save": (BASE, LOAD_SAVE),
    "load and save, again": (BASE, LOAD_SAVE),
    "fold": (OURS, FOLD),
    "verify": (OURS, VERIFY),
}


class _Network:
    """A graph that grows at its end."""

    def __init__(self) -> None:
        self.x = ir.val("x", ir.DataType.FLOAT, ("batch", "tokens", CHANNELS))
        self._graph = ir.Graph([self.x], [], nodes=[], opset_imports={"": 20}, name="network")
        self._generator = np.random.default_rng(0)

    def op(self, kind: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        name = f"{kind}_{len(self._graph)}"
        node = ir.node(kind, inputs, attributes=attributes, name=name)
        node.outputs[0].name = name
        self._graph.append(node)
        return node.outputs[0]

    def norm(self, x: ir.Value) -> ir.Value:
        return self.op("Add", self.op("Mul", x, self._weight(1)), self._weight(1))

    def linear(self, x: ir.Value) -> ir.Value:
        return self.op("Add", self.op("MatMul", x, self._weight(2)), self._weight(1))

    def model(self, y: ir.Value) -> ir.Model:
        y.name, y.type, y.shape = "y", self.x.type, self.x.shape
        self._graph.outputs.append(y)
        return ir.Model(self._graph, ir_version=10)

    def _weight(self, rank: int) -> ir.Value:
        name = f"weight_{len(self._graph.initializers)}"
        array = self._generator.standard_normal((CHANNELS,) * rank) * CHANNELS**-0.5
        tensor = ir.tensor(np.float32(array + (rank == 1)), name=name)
        value = ir.val(name, ir.DataType.FLOAT, array.shape, const_value=tensor)
        self._graph.register_initializer(value)
        return value


def network(kind: str, size: int) -> ir.Model:
    """One of the two, of so many blocks or branches."""
    net = _Network()
    if kind == "width":
        start = net.linear(net.x)
        total = net.linear(net.norm(start))
        for _ in range(size - 1):
            total = net.op("Add", total, net.linear(net.norm(start)))
        return net.model(total)
    x = net.x
    for _ in range(size):
        n = net.norm(x)
        q, k, v = (net.linear(n) for _ in range(3))
        scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 2, 1]))
        mixed = net.op("MatMul", net.op("Softmax", scores), v)
        x = net.op("Add", x, net.linear(mixed))
        x = net.op("Add", x, net.linear(net.op("Relu", net.linear(net.norm(x)))))
    return net.model(net.norm(x))


def measure(kind: str, rounds: int) -> list[dict[str, Any]]:
    """CPU seconds and peaks in MB of every way, by size."""
    found = []
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "folded.onnx")
        for size in SIZES[kind]:
            ir.save(network(kind, size), source)
            cpu: dict[str, list[float]] = {way: [] for way in WAYS}
            peak: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, (imports, work) in WAYS.items():
                    if way != "verify":
                        target.unlink(missing_ok=True)
                    seconds, most = run(imports + work, str(source), str(target))
                    cpu[way].append(seconds - run(imports)[0])
                    peak[way].append(most)
            row = {
                "size": size,
                "cpu_s": {way: round(statistics.median(values), 2) for way, values in cpu.items()},
                "peak_mb": {way: round(statistics.median(values)) for way, values in peak.items()},
            }
            click.echo(f"{kind} {row}")
            found.append(row)
    return found


def last_doublings(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What the largest size takes over half of it."""
    half, whole = rows[-2]["cpu_s"], rows[-1]["cpu_s"]
    return {way: round(whole[way] / half[way], 2) for way in ("fold", "verify")}


def page(found: Sequence[entries.Entry]) -> str:
    """The table beside the result."""
    rows = [
        (
            entry["network"],
            f"{row['size']:,}",
            *(f"{row['cpu_s'][way]:.2f} s" for way in WAYS),
            *(f"{row['peak_mb'][way]} MB" for way in ("fold", "verify")),
        )
        for entry in found
        for row in entry["sizes"]
    ]
    head = ("network", "size", *WAYS, "peak of fold", "peak of verify")
    said = "; ".join(
        f"{entry['network']}: " + ", ".join(f"{w} {r}" for w, r in entry["last_doublings"].items())
        for entry in found
    )
    cpus = sorted({entry["environment"]["cpu"] for entry in found})
    rounds = ", ".join(str(entry["rounds"]) for entry in found)
    lines = [
        "# How a fold and a verification grow with the network",
        "",
        f"scaling.json: whole processes, CPU time without imports, medians of {rounds} rounds, on",
        f"{', '.join(cpus)}. Measured by `python -m benchmarks.scaling --write`, which says what",
        f"is counted. The last doubling of each network takes at most {LIMIT} times as long;",
        f"measured: {said}.",
        "",
        *entries.table(head, rows),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SIZES)), default=list(SIZES))
@click.option("--rounds", default=3, show_default=True)
@click.option("--write", is_flag=True, help="Replace what stands in the results.")
def main(only: tuple[str, ...], rounds: int, write: bool) -> None:
    """Measure, print each size's times, and say whether the limit is kept."""
    kept = True
    for kind in only:
        rows = measure(kind, rounds)
        entry = {
            "network": kind,
            "rounds": rounds,
            "sizes": rows,
            "last_doublings": last_doublings(rows),
            "limit": LIMIT,
            "environment": environment(),
        }
        if write:
            entries.write(RESULT, entry, ("network",), [(name,) for name in SIZES])
            RESULT.with_suffix(".md").write_text(page(entries.read(RESULT)), encoding="utf-8")
        click.echo(f"{kind}: last doublings {entry['last_doublings']}")
        kept &= max(entry["last_doublings"].values()) <= LIMIT
    raise SystemExit(int(not kept))


if __name__ == "__main__":
    main()
