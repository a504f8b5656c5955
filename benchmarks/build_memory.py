"""How much memory does a build take, against the bare builder on the converted file?

    python -m benchmarks.build_memory [--only "512 MB" ...] [--precision fp16 ...] [--write]

Needs TensorRT-RTX (the rtx extra) and no GPU; the two files take 12 GB of disk, and a build of the
larger one 8 GB of memory. For chains of products with 512 MB of weights (in the ONNX file) and with
2.4 GB (in a weights file beside it) three things are done in turn, each in a process of its own:
TensorRT-RTX alone parses the converted file, builds the engine and writes the plan; the same once
more (what differs between the two is noise); and `un-deploy build`, which converts the file as
well. The peak is the largest resident memory, imports and mapped pages of weights files included.
Medians over the rounds; a ratio is that of two medians.

--write puts the result to benchmarks/results/build_memory.json, one entry for each file and
precision, replaced when it is measured again, and a table to build_memory.md beside it.
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
from benchmarks.entries import run
from un_deploy.engines.flavor import described
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "build_memory.json"
PAIRS = {"512 MB": 4, "2.4 GB": 19}
"""How many pairs of products each file has: one into `WIDE` channels, and one back."""
NARROW, WIDE = 64, 250_000
PRECISIONS = ("fp16", "fp32")
LIMIT = 1.3

CONVERT = """
import sys
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.precision.convert import to_precision
source, target, precision = sys.argv[1:]
save_model(to_precision(source, precision)[0], target)
"""
BARE = """
import sys
import tensorrt_rtx as trt
source, target = sys.argv[1:]
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parser = trt.OnnxParser(network, logger)
assert parser.parse_from_file(source)
plan = builder.build_serialized_network(network, builder.create_builder_config())
with open(target, "wb") as file:
    file.write(plan)
"""
BUILD = """
import sys
from un_deploy.cli import main
sys.argv[1:] = ["build", sys.argv[1], "--precision", sys.argv[2], "--output", sys.argv[3]]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
BASE, OURS = "bare builder", "un-deploy build"
WAYS = (BASE, f"{BASE}, again", OURS)


def generate(pairs: int, path: Path) -> None:
    """A chain of products, each matrix drawn anew; a large model's weights are beside it."""
    generator = np.random.default_rng(0)
    x = value = ir.val("x", ir.DataType.FLOAT, (1, NARROW))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 20}, name="chain")
    for number, shape in enumerate([(NARROW, WIDE), (WIDE, NARROW)] * pairs):

        def draw(shape: tuple[int, int] = shape) -> ir.Tensor:
            array = generator.standard_normal(shape, dtype=np.float32)
            return ir.Tensor(array * np.float32(shape[0] ** -0.5))

        weight = ir.LazyTensor(draw, ir.DataType.FLOAT, ir.Shape(shape), name=f"weight{number}")
        constant = ir.val(weight.name, ir.DataType.FLOAT, shape, const_value=weight)
        graph.register_initializer(constant)
        node = ir.node("MatMul", [value, constant], name=f"MatMul{number}")
        graph.append(node)
        value = node.outputs[0]
        value.name = f"y{number}"
    value.type, value.shape = x.type, ir.Shape((1, NARROW))
    graph.outputs.append(value)
    save_model(ir.Model(graph, ir_version=10), path)


def peak(way: str, source: Path, converted: Path, precision: str) -> float:
    """In MB, of one of the `WAYS` to a plan."""
    with TemporaryDirectory(dir=source.parent) as folder:
        target = str(Path(folder, "model.plan"))
        if way == OURS:
            return run(BUILD, str(source), precision, target)[1]
        return run(BARE, str(converted), target)[1]


def measure(source: Path, precision: str, rounds: int) -> dict[str, Any]:
    """Peaks in MB of each way, medians, and their ratios to the bare builder's."""
    with TemporaryDirectory(dir=source.parent) as folder:
        converted = Path(folder, "converted.onnx")
        run(CONVERT, str(source), str(converted), precision)
        found = [
            {way: peak(way, source, converted, precision) for way in WAYS} for _ in range(rounds)
        ]
    medians = {way: statistics.median(of[way] for of in found) for way in WAYS}
    return {
        "peak_mb": {way: round(most, 1) for way, most in medians.items()},
        "peak_ratio": {way: round(most / medians[BASE], 3) for way, most in medians.items()},
    }


def page(found: Sequence[entries.Entry]) -> str:
    """The table beside the result."""
    rows = [
        (
            entry["file"],
            entry["precision"],
            way,
            f"{entry['peak_mb'][way]:.0f} MB",
            f"{entry['peak_ratio'][way]:.2f}",
        )
        for entry in found
        for way in entry["peak_mb"]
    ]
    builders = sorted({entry["builder"] for entry in found})
    cpus = sorted({entry["environment"]["cpu"] for entry in found})
    lines = [
        "# What memory a build takes",
        "",
        f"build_memory.json: whole processes, in turn, medians, {', '.join(builders)} on",
        f"{', '.join(cpus)}. Measured by `python -m benchmarks.build_memory --write`, which says",
        f"what is counted. Limit: {LIMIT} times the peak of the bare builder.",
        "",
        *entries.table(("weights", "precision", "what", "peak", "over the bare builder"), rows),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*PAIRS]), default=[*PAIRS])
@click.option("--precision", multiple=True, type=click.Choice(PRECISIONS), default=PRECISIONS)
@click.option("--rounds", default=3, show_default=True)
@click.option("--write", is_flag=True, help="Replace what stands in the results.")
def main(only: tuple[str, ...], precision: tuple[str, ...], rounds: int, write: bool) -> None:
    """Measure, print each build's ratio, and say whether the limit is kept."""
    kept = True
    for name in only:
        with TemporaryDirectory() as folder:
            source = Path(folder, "model.onnx")
            generate(PAIRS[name], source)
            for one in precision:
                entry = {
                    "file": name,
                    "precision": one,
                    "rounds": rounds,
                    **measure(source, one, rounds),
                    "limit": LIMIT,
                    "builder": described("tensorrt-rtx"),
                    "environment": environment(),
                }
                if write:
                    order = [(file, kind) for file in PAIRS for kind in PRECISIONS]
                    entries.write(RESULT, entry, ("file", "precision"), order)
                    text = page(entries.read(RESULT))
                    RESULT.with_suffix(".md").write_text(text, encoding="utf-8")
                for way, most in entry["peak_mb"].items():
                    ratio = entry["peak_ratio"][way]
                    click.echo(f"{name} {one} {way:20} {most:6.0f} MB {ratio:.2f}")
                kept &= entry["peak_ratio"][OURS] <= LIMIT
    raise SystemExit(int(not kept))


if __name__ == "__main__":
    main()
