"""Are the models that onnx ships folded, proven and equal, and what does that cost?

    python -m benchmarks.onnx_models [--only densenet121 ...]

Some 150 models, each in a process of its own: of single operators and small layers, and nine CNNs,
whose weights operators make. Each is folded as it is shipped, where the caller may override every
weight, and with its weights constant; the CNNs also with drawn weights, which are as many bytes as
they say, and without the Softmax at their end.

Told are the norms that folded and stayed, what was proven, the largest difference between two runs
of ONNX Runtime (without optimisation, as a share of the largest output), the CPU time of fold and
proof, and the largest resident memory up to there, imports and the model included.

The result goes to benchmarks/results/onnx_models.json, one entry a model and kind of weights,
replaced when it is measured again, and a table to onnx_models.md beside it. The exit code is 1
where something is not proven, differs by 1e-4, or takes 60 s or 2.5 GB.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import onnx
import onnx_ir as ir

from benchmarks import entries
from tests.support import onnx_models
from tests.support.onnx_models import GROUPS, NOT_RUN, WEIGHTS, Weights, name_of, shipped
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

RESULT = Path(__file__).parent / "results" / "onnx_models.json"
LIMITS = {"difference": 1e-4, "cpu_s": 60.0, "peak_mb": 2500}
Case = tuple[Path, Weights]


def cases() -> Iterator[Case]:
    """Every model with every kind of weights that it has."""
    for path in shipped(*GROUPS):
        for weights in WEIGHTS:
            if weights != "drawn" or path in shipped("light"):
                yield path, weights


def in_own_process(path: Path, weights: Weights) -> dict[str, Any]:
    """See `measure`."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(measure, path, weights).result()


def measure(path: Path, weights: Weights) -> dict[str, Any]:
    """Fold a model, prove it, and run both: norms, proof, seconds, megabytes, difference."""
    model = onnx_models.load(path, weights)
    original = ir.from_proto(model)
    clone = original.clone()
    start = time.process_time()
    folded = fold_graph(clone)
    between = time.process_time()
    proof = prove(original, folded)
    end = time.process_time()
    return {
        "model": name_of(path),
        "weights": weights,
        "folded": len(folded.report.folded),
        "stayed": len(folded.report.stayed),
        "proven": proof.passed,
        "operators": proof.operators,
        "regions": proof.regions,
        "constants": proof.constants,
        "fold_cpu_s": round(between - start, 3),
        "proof_cpu_s": round(end - between, 3),
        "peak_mb": _peak_mb(),
        "difference": None
        if name_of(path) in NOT_RUN
        else onnx_models.difference(path, model, ir.to_proto(folded.model)),
    }


def _peak_mb() -> int:
    """The largest resident memory of this process alone; what a parent had does not count."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) * 1024 // 1_000_000


def is_fine(entry: Mapping[str, Any]) -> bool:
    """Proven, equal where it runs, within the limits."""
    cpu = entry["fold_cpu_s"] + entry["proof_cpu_s"]
    return bool(
        entry["proven"]
        and (entry["difference"] or 0.0) <= LIMITS["difference"]
        and cpu <= LIMITS["cpu_s"]
        and entry["peak_mb"] <= LIMITS["peak_mb"]
    )


def table(found: list[dict[str, Any]]) -> Iterator[str]:
    """The CNNs and whatever has a norm in rows of their own, all others in a row a group."""
    yield from (
        "# The models that onnx ships",
        "",
        f"onnx_models.json, measured by `python -m benchmarks.onnx_models` with onnx "
        f"{onnx.__version__}: folded, proven, and run in ONNX Runtime before and after.",
        "",
    )
    head = ["model", "weights", "folded", "stayed", "proven", "regions", "constants"]
    head += ["difference", "fold, s of CPU", "proof, s of CPU", "peak, MB"]
    own = [e for e in found if e["model"].startswith("light/") or e["folded"] + e["stayed"]]
    yield from entries.table(head, map(_row, own))
    yield from ("", "All others have no norm that is constant:", "")
    kinds = ["models", "weights", "count", "proven", "run", "largest difference", "most CPU, s"]
    rest = [e for e in found if e not in own]
    groups = {(e["model"].split("/")[0], e["weights"]): None for e in rest}
    yield from entries.table(kinds, (_group_row(rest, *group) for group in groups))
    yield from ("", "What ONNX Runtime does not run, neither before nor after:", "")
    yield from (f"- {model}: {why}" for model, why in NOT_RUN.items())


def _row(entry: Mapping[str, Any]) -> list[str]:
    difference = entry["difference"]
    told = "does not run" if difference is None else f"{difference:.1e}"
    plain = [entry[k] for k in ("model", "weights", "folded", "stayed")]
    plain += ["yes" if entry["proven"] else "no", entry["regions"], entry["constants"], told]
    seconds = [f"{entry[k]:.2f}" for k in ("fold_cpu_s", "proof_cpu_s")]
    return [*map(str, plain), *seconds, str(entry["peak_mb"])]


def _group_row(found: list[dict[str, Any]], group: str, weights: str) -> list[str]:
    members = [e for e in found if e["model"].startswith(group) and e["weights"] == weights]
    differences = [e["difference"] for e in members if e["difference"] is not None]
    counts = [len(members), sum(e["proven"] for e in members), len(differences)]
    cpu = max(e["fold_cpu_s"] + e["proof_cpu_s"] for e in members)
    return [group, weights, *map(str, counts), f"{max(differences):.1e}", f"{cpu:.2f}"]


@click.command()
@click.option("--only", multiple=True, help="Models whose name contains this; by default all.")
def main(only: tuple[str, ...]) -> None:
    """Measure, write the result, and say whether all is as it should be."""
    order = [(name_of(path), weights) for path, weights in cases()]
    fine = True
    for path, weights in cases():
        if only and not any(part in name_of(path) for part in only):
            continue
        entry = in_own_process(path, weights)
        entries.write(RESULT, entry, ("model", "weights"), order)
        fine &= is_fine(entry)
        print(*_row(entry), "" if is_fine(entry) else "<- no")
    lines = table(entries.read(RESULT))
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
