"""Fifty steps in bfloat16 beside the same in float32: are the losses finite, and near?

    python -m benchmarks.translation.bfloat16 DATA FOLDER

Of LN, UN and DyT, seed 0, as the training's first steps but at a rate that warms up over the fifty:
forward and backward under torch.autocast. Writes both rows of losses to FOLDER/bfloat16.jsonl.
"Near" is a mean loss of the last ten steps within 1 % of float32's.
"""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.translation.sentences import Corpus, in_random_order
from benchmarks.translation.train import Config, loss_of, network_of
from models.fashion_mnist.train import environment, write_atomically

NORMS = ("ln", "un", "dyt")
STEPS, LAST, NEAR = 50, 10, 0.01


def losses(config: Config, train: Corpus, steps: int, half: bool) -> list[float]:
    """Of the first steps of a training."""
    network = network_of(config).train()
    optimizer = torch.optim.Adam(network.parameters(), betas=(0.9, 0.98))
    found = []
    batches = in_random_order(train, torch.Generator().manual_seed(config.seed))
    for step, batch in enumerate(islice(batches, steps), 1):
        optimizer.param_groups[0]["lr"] = config.learning_rate * step / steps
        with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
            loss, _ = loss_of(network, batch, config.smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def compared(single: list[float], half: list[float]) -> dict[str, Any]:
    """Whether the half precision's are finite, and near at the end."""
    ends = [sum(row[-LAST:]) / len(row[-LAST:]) for row in (single, half)]
    apart = abs(ends[1] / ends[0] - 1)
    return {
        "finite": all(map(math.isfinite, half)),
        "apart": apart,
        "near": apart <= NEAR,
        "float32": single,
        "bfloat16": half,
    }


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def main(data: Path, folder: Path) -> None:
    """Run both for each norm."""
    torch.set_num_threads(1)
    train = Corpus.load(data / "train.npz")
    rows = {
        norm: compared(*(losses(Config(norm, 0), train, STEPS, half) for half in (False, True)))
        for norm in NORMS
    }
    line = json.dumps({"event": "end", "norms": rows, "environment": environment()})
    log = folder / "bfloat16.jsonl"
    write_atomically(log, lambda path: path.write_text(line + "\n", encoding="utf-8"))
    for norm, row in rows.items():
        click.echo(f"{norm}: {row['apart']:.2%} apart, finite {row['finite']}")


if __name__ == "__main__":
    main()
