"""What do norms cost on a CPU? LN, UN unfolded, folded and no norm of any model specs, as a table.

    python -m benchmarks.recipes_on_cpu models/swin.py:swin_tiny models/t2t_vit.py:t2t_vit_14 ...

Each spec goes through `un-deploy compare` in ONNX Runtime: 98 % intervals over builds, and the A/A
control beside them (docs/how-we-compare.md). The reports without their samples go to
benchmarks/results/recipes_on_cpu.json, one entry a spec, norms and batch, replaced when it is
measured again, and the table to recipes_on_cpu.md. `--norms` takes other norms beside the four.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks import entries
from un_deploy.measure import wording
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import Kind
from un_deploy.pipeline.compare.compare import compare
from un_deploy.pipeline.export.norm_names import NORMS, Norm

RESULT = Path(__file__).parent / "results" / "recipes_on_cpu.json"
KEY = ("model", "norms", "batch")


def entry(model: str, norms: tuple[Norm, ...], report: CompareReport) -> dict[str, Any]:
    """What is kept of a report: medians, ratios and the control with intervals, the machine."""
    return {
        "model": model,
        "norms": ",".join(norms),
        "batch": report.batch,
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        "runtime": report.runtime or report.backend,
        "threads": report.threads,
        "median_s": {one.name: one.median_s for one in report.timed},
        "ratios": [
            {"of": one.of, "form": one.form, "to": one.to, "to_form": one.to_form}
            | one.interval.to_dict()
            for one in (*report.ratios, report.control)
        ],
        "notes": list(report.notes),
        "environment": report.environment,
    }


def page(found: list[dict[str, Any]]) -> str:
    """Markdown: the machine of each entry, and its ratios with their intervals."""
    lines = ["# What norms cost on a CPU", ""]
    for one in found:
        machine = one["environment"]
        sizes = ", ".join(f"{name} {shape}" for name, shape in one["inputs"].items())
        lines += [
            f"## {one['model']}",
            f"{one['runtime']}, {one['threads'] or 'its own number of'} threads, on "
            f"{machine['cpu']}; {sizes}.",
            "",
            *ratios(one),
            "",
        ]
    return "\n".join(lines)


def ratios(one: dict[str, Any]) -> list[str]:
    """The table of an entry."""
    rows = []
    for told in one["ratios"]:
        of: Kind = told["of"]
        to = "itself (A/A)"
        if told["to"] != of:
            to = wording.variant(told["to"], told.get("to_form", ""))
        interval = f"{told['low']:.3f} to {told['high']:.3f}"
        name = wording.variant(of, told["form"])
        rows.append([name, to, f"{told['ratio']:.3f}", interval, str(told["builds"])])
    return entries.table(["time of", "over", "ratio", "98 % interval", "builds"], rows)


def write(measured: dict[str, Any]) -> None:
    """Put an entry among the others, and make the table of all anew."""
    old = entries.read(RESULT) if RESULT.is_file() else []
    keys = dict.fromkeys(tuple(one[part] for part in KEY) for one in [*old, measured])
    entries.write(RESULT, measured, KEY, [*keys])
    RESULT.with_suffix(".md").write_text(page(entries.read(RESULT)), encoding="utf-8")


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--norms", default="ln,un", show_default=True, help=f"Out of {', '.join(NORMS)}.")
@click.option("--batch", default=None, type=int, help="Rows, where the network leaves them open.")
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(
    models: tuple[str, ...],
    norms: str,
    batch: int | None,
    builds: int,
    rounds: int,
    sample_ms: float,
    threads: int,
) -> None:
    """Compare each model, print its ratios, and write both files."""
    chosen: tuple[Any, ...] = tuple(norms.split(","))
    if not set(chosen) <= set(NORMS) or len(set(chosen)) < len(chosen):
        raise click.BadParameter(f"{norms!r} is no list of {', '.join(NORMS)}, each once")
    for model in models:
        report = compare(
            model,
            norms=chosen,
            backend="ort-cpu",
            builds=builds,
            rounds=rounds,
            sample_s=sample_ms / 1000,
            threads=threads,
            batches=() if batch is None else (batch,),
        )
        measured = entry(model, chosen, report)
        write(measured)
        click.echo(page([measured]))


if __name__ == "__main__":
    main()
