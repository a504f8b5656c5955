"""What does a fold cost, against loading and saving the same file with onnx?

    python -m benchmarks.fold_cost [--only vit_small ...] [--without-proof] [--write]

For ViT-S and BERT-base (UN, static shapes, one file) and a generated chain of 32 norms and linear
layers (5 GB, external data) four things are done in turn, each in a process of its own: `onnx.load`
and `onnx.save`, the same once more (what differs between the two is noise), a fold without its
proof, and a fold with it. The CPU time (user and system) is that of the process less that of one
that only imports the same; the peak is the largest resident memory, imports and mapped pages of
weights files included. Medians over the rounds; a ratio is that of two medians.

The imports are told apart: the CPU time of all that the fold command imports, less that of numpy,
onnx and onnx-ir.

--write puts the result to benchmarks/results/fold_cost.json, one entry a file, replaced when it is
measured again, and a table to fold_cost.md beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import onnx_ir as ir

from benchmarks import entries
from benchmarks.entries import run
from models.recipes import MEASURED
from tests.support.networks.exports import exported
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "fold_cost.json"
GENERATED = "generated 5 GB"
FILES = ("vit_small", "bert_base", GENERATED)
WIDTH, LAYERS = 6400, 32  # 32 * 6400 * 6400 * 4 bytes = 5.2 GB
LIMITS = {"cpu": 5.0, "peak": 1.4, "imports_s": 0.25}

BASE = "import numpy, onnx, onnx_ir\n"
OURS = f"""{BASE}import un_deploy.cli.fold
from un_deploy.cli import show
from un_deploy.pipeline.fold_file import fold_file
from onnx_shape_inference import registry
registry.collect()
"""
LOAD_SAVE = """
import os, sys
source, target = sys.argv[1:]
model = onnx.load(source)
external, data = os.path.exists(f"{source}.data"), os.path.basename(f"{target}.data")
onnx.save(model, target, save_as_external_data=external, location=data)
"""
FOLD = """
import sys
fold_file(*sys.argv[1:], verify={verify})
"""

WAYS = {
    "load and save": (BASE, LOAD_SAVE),
    "load and save, again": (BASE, LOAD_SAVE),
    "fold": (OURS, FOLD.format(verify=False)),
    "fold with proof": (OURS, FOLD.format(verify=True)),
}


def generate(path: Path) -> None:
    """A chain of norms and linear layers, each matrix drawn anew, all weights in `path`.data."""
    data, offset = path.with_name(f"{path.name}.data"), 0
    generator = np.random.default_rng(0)
    x = value = ir.val("x", ir.DataType.FLOAT, ("batch", WIDTH))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 20}, name="chain")
    for layer in range(LAYERS):
        shapes = {"scale": (WIDTH,), "shift": (WIDTH,), "weight": (WIDTH, WIDTH), "bias": (WIDTH,)}
        operators = ("Mul", "Add", "MatMul", "Add")
        for (kind, shape), operator in zip(shapes.items(), operators, strict=True):
            name, array = f"{kind}{layer}", generator.standard_normal(shape, dtype=np.float32)
            array *= np.float32(WIDTH**-0.5 if kind == "weight" else 0.1)
            if kind == "scale":
                array += 1
            with data.open("ab") as file:
                array.tofile(file)
            tensor = ir.ExternalTensor(
                data.name,
                offset,
                array.nbytes,
                ir.DataType.FLOAT,
                shape=ir.Shape(shape),
                name=name,
                base_dir=path.parent,
            )
            offset += array.nbytes
            constant = ir.val(name, ir.DataType.FLOAT, shape, const_value=tensor)
            graph.register_initializer(constant)
            node = ir.node(operator, [value, constant], name=f"{operator}_{kind}{layer}")
            graph.append(node)
            value = node.outputs[0]
        node = ir.node("Relu" if layer < LAYERS - 1 else "Identity", [value])
        graph.append(node)
        value = node.outputs[0]
    value.name, value.type, value.shape = "y", x.type, ir.Shape(("batch", WIDTH))
    graph.outputs.append(value)
    ir.save(ir.Model(graph, ir_version=10), path)


def make(name: str, path: Path) -> None:
    """One of `FILES`."""
    if name == GENERATED:
        generate(path)
    else:
        save_model(exported(MEASURED[name].factory, "un", dynamic=False), path)


def measure(path: Path, ways: Sequence[str], rounds: int) -> dict[str, Any]:
    """CPU seconds without imports, and peaks in MB, of each way; medians and ratios."""
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    peak: dict[str, list[float]] = {way: [] for way in ways}
    run(OURS)  # the first start compiles to bytecode
    for file in path.parent.iterdir():  # the first reading fills the page cache
        with file.open("rb") as content:
            while content.read(1 << 24):
                pass
    for _ in range(rounds):
        for way in ways:
            imports, work = WAYS[way]
            with TemporaryDirectory(dir=path.parent) as folder:
                seconds, most = run(imports + work, str(path), str(Path(folder, path.name)))
            cpu[way].append(seconds - run(imports)[0])
            peak[way].append(most)
    return {
        "cpu_s": _medians(cpu),
        "cpu_ratio": _ratios(cpu),
        "peak_mb": _medians(peak),
        "peak_ratio": _ratios(peak),
    }


def imports(rounds: int) -> float:
    """CPU seconds of what the fold command imports beyond numpy, onnx and onnx-ir."""
    base, ours = zip(*((run(BASE)[0], run(OURS)[0]) for _ in range(rounds)), strict=True)
    return statistics.median(ours) - statistics.median(base)


def _medians(of: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {way: round(statistics.median(values), 3) for way, values in of.items()}


def _ratios(of: Mapping[str, Sequence[float]]) -> dict[str, float]:
    base = statistics.median(of["load and save"])
    return {way: round(statistics.median(values) / base, 2) for way, values in of.items()}


def page(found: Sequence[entries.Entry]) -> str:
    """The table beside the result."""
    rows = []
    for entry in found:
        for way in entry["cpu_s"]:
            cpu, peak = entry["cpu_s"][way], entry["peak_mb"][way]
            rows.append(
                (
                    f"{entry['file']} ({entry['file_mb']:.0f} MB)",
                    way,
                    f"{cpu:.2f} s",
                    f"{entry['cpu_ratio'][way]:.2f}",
                    f"{peak:.0f} MB",
                    f"{entry['peak_ratio'][way]:.2f}",
                )
            )
    head = ("file", "what", "CPU without imports", "over load and save", "peak", "over it")
    imported = ", ".join(f"{entry['imports_s']:.2f} s" for entry in found)
    cpus = sorted({entry["environment"]["cpu"] for entry in found})
    lines = [
        "# What a fold costs",
        "",
        f"fold_cost.json: whole processes, in turn, medians, on {', '.join(cpus)}. Measured by",
        "`python -m benchmarks.fold_cost --write`, which says what is counted. Limits: a fold with",
        f"its proof {LIMITS['cpu']:.0f} times the CPU time and {LIMITS['peak']} times the peak of",
        "onnx.load and onnx.save; imports beyond numpy, onnx and onnx-ir",
        f"{LIMITS['imports_s']} s of CPU (measured with each file: {imported}).",
        "",
        *entries.table(head, rows),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(FILES), default=FILES)
@click.option("--without-proof", is_flag=True, help="Leave out the fold with its proof.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--files", type=click.Path(path_type=Path), help="A folder that keeps the files.")
@click.option("--write", is_flag=True, help="Replace what stands in the results.")
def main(
    only: tuple[str, ...], without_proof: bool, rounds: int, files: Path | None, write: bool
) -> None:
    """Measure, print each file's ratios, and say whether the limits are kept."""
    ways = [way for way in WAYS if not (without_proof and way == "fold with proof")]
    kept = True
    with TemporaryDirectory() as made:
        for name in only:
            folder = (files or Path(made)) / name.replace(" ", "_")
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / "model.onnx"
            if not path.is_file():
                make(name, path)
            size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
            entry = {
                "file": name,
                "file_mb": round(size / 1e6, 1),
                "rounds": rounds,
                **measure(path, ways, rounds),
                "imports_s": round(imports(rounds), 3),
                "limits": LIMITS,
                "environment": environment(),
            }
            if write:
                entries.write(RESULT, entry, ("file",), [(name,) for name in FILES])
                RESULT.with_suffix(".md").write_text(page(entries.read(RESULT)), encoding="utf-8")
            for way, ratio in entry["cpu_ratio"].items():
                click.echo(
                    f"{name:14} {way:20} CPU {entry['cpu_s'][way]:7.2f} s {ratio:5.2f}, "
                    f"peak {entry['peak_mb'][way]:6.0f} MB {entry['peak_ratio'][way]:5.2f}"
                )
            click.echo(f"{name:14} imports {entry['imports_s']:.3f} s")
            kept &= entry["imports_s"] <= LIMITS["imports_s"] and all(
                entry[f"{what}_ratio"].get("fold with proof", 0) <= LIMITS[what]
                for what in ("cpu", "peak")
            )
    raise SystemExit(int(not kept))


if __name__ == "__main__":
    main()
