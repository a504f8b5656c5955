"""Whether a trained network's folded graph classifies Fashion-MNIST as PyTorch does.

    python -m benchmarks.tasks.folded_accuracy NORM WEIGHTS FOLDER

Exports vit_micro with the weights, folds every norm, and classifies the test images with both.
Writes the outcome to FOLDER, under the weights' name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import nn

from models.fashion_mnist import data
from models.fashion_mnist.norms import NORMS
from models.fashion_mnist.train import Dataset, environment, evaluate, write_atomically
from models.vit import vit_micro
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

BATCH = 500


def judge(network: nn.Module, test: Dataset) -> dict[str, Any]:
    """Both accuracies, in how many answers they differ, and what the fold did.

    Args:
        network: vit_micro with any norm.
    """
    _, right = evaluate(network, test)
    module: Any = network.eval()
    folded = fold_graph(to_onnx(module, module.example_inputs()))
    session = OnnxRuntime(threads=1).load(folded.model)
    name = next(iter(module.example_inputs()))
    logits, wanted = [], []
    for pixels in test.pixel_values.split(BATCH):
        logits.append(next(iter(session.run({name: pixels.numpy()}).values())))
        with torch.no_grad():
            wanted.append(module(pixels).numpy())
    ours, theirs = np.concatenate(logits), np.concatenate(wanted)
    classes = ours.argmax(1)
    return {
        "test_accuracy": right.double().mean().item(),
        "folded_accuracy": float((classes == test.labels.numpy()).mean()),
        "other_class": int((classes != theirs.argmax(1)).sum()),
        "largest_difference": float(np.abs(ours - theirs).max()),
        "largest_logit": float(np.abs(theirs).max()),
        "folded": len(folded.report.folded),
        "images": len(test.labels),
    }


@click.command()
@click.argument("norm", type=click.Choice([*NORMS]))
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def main(norm: str, weights: Path, folder: Path) -> None:
    """Judge one network."""
    torch.set_num_threads(1)
    network = vit_micro(norm_layer=NORMS[norm])
    network.load_state_dict(torch.load(weights, weights_only=True))
    found = judge(network, Dataset.load("t10k", data.DEBIAN_DIRECTORY))
    line = json.dumps({"event": "end", "norm": norm, **found, "environment": environment()})
    log = folder / f"{weights.stem}.jsonl"
    write_atomically(log, lambda path: path.write_text(line + "\n", encoding="utf-8"))
    click.echo(line)


if __name__ == "__main__":
    main()
