"""What each norm leaves in a graph once it is folded, and in TensorRT-RTX's plan.

    python -m benchmarks.tasks.left

Needs TensorRT-RTX (the rtx extra) and no GPU: engines are built, and not run, and nothing is timed.
ViT-S with each norm, its weights and biases made up, is exported at batch 1, at batch 2 and with an
open batch, and folded as `un-deploy fold` does it; LN has nothing to fold. "left" counts the
operators that the graph without norms lacks. Bytes are told where the batch is not open.
Writes benchmarks/results/tasks/left.json after every norm; what stands there is not built again.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import onnx_ir as ir
import torch

from models.norms import NORMS
from models.vit import vit_small
from tests.support.networks.engine_graphs import engine
from un_deploy.engines.building.from_graph import prepare
from un_deploy.engines.flavor import described
from un_deploy.engines.kernels.kernels import bytes_written
from un_deploy.files import atomic_write_text
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.precision.convert import Precision
from un_deploy.measure.speed.environment import environment
from un_deploy.pipeline.export.torch_to_onnx import to_onnx

RESULT = Path(__file__).parents[1] / "results" / "tasks" / "left.json"
FORMS = ("none", "ln", "bn", "un", "dyt", "derf")
BATCHES = ("1", "2", "open")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16")


def network(norm: str, factory: Any = vit_small) -> Any:
    """With weights of its norms that are neither ones nor zeros, and statistics that differ."""
    torch.manual_seed(0)
    model: Any = factory(norm_layer=NORMS[norm])
    made = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith((".weight", ".bias")):
                parameter += torch.rand(parameter.shape, generator=made) * 0.4 - 0.2
        shape = model.example_inputs()["pixel_values"].shape[1:]
        model.train()(torch.randn(4, *shape, generator=made))
    return model.eval()


def graph(norm: str, batch: str, factory: Any = vit_small) -> tuple[ir.Model, int]:
    """The folded graph, and how many scales and shifts went into their neighbours."""
    model = network(norm, factory)
    exported = to_onnx(
        model,
        model.example_inputs(2 if batch == "open" else int(batch)),
        dynamic_axes=model.dynamic_axes if batch == "open" else {},
        output_names=model.output_names,
    )
    if norm in ("none", "ln"):
        return exported, 0
    folded = fold_graph(exported)
    return folded.model, len(folded.report.folded)


def operators(model: ir.Model) -> Counter[str]:
    """How often each stands in the graph, constants left out."""
    return Counter(node.op_type for node in model.graph if node.op_type != "Constant")


def beyond(model: ir.Model, without: ir.Model) -> dict[str, int]:
    """Operators that the other graph lacks, or has fewer of."""
    return dict(sorted((operators(model) - operators(without)).items()))


def entry(norm: str, batch: str) -> dict[str, Any]:
    """What one norm leaves."""
    model, folded = graph(norm, batch)
    engines = {}
    for precision in PRECISIONS:
        kernels = engine(prepare(model, precision), origin=norm).built.kernels
        engines[precision] = {"kernels": len(kernels), "bytes_written": bytes_written(kernels)}
        click.echo(f"{norm}, batch {batch}, {precision}: {engines[precision]}")
    left = beyond(model, graph("none", batch)[0])
    return {"norm": norm, "batch": batch, "folded": folded, "left": left, "engines": engines}


@click.command()
def main() -> None:
    """Measure what is missing, and write."""
    order = [(norm, batch) for batch in BATCHES for norm in FORMS]
    here = environment() | {"builder": described("tensorrt-rtx")}
    old = json.loads(RESULT.read_text(encoding="utf-8"))["entries"] if RESULT.is_file() else []
    found = {(one["norm"], one["batch"]): one for one in old}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    for key in order:
        if key not in found:
            found[key] = entry(*key)
            entries = [found[one] for one in order if one in found]
            result = {"network": "vit_small", "entries": entries}
            text = json.dumps(result | {"environment": here}, indent=1) + "\n"
            atomic_write_text(RESULT, text, force=True)


if __name__ == "__main__":
    main()
