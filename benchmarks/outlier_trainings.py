"""Trains with an outlier token in every 10th step, and without, by one rule or another.

    python -m benchmarks.outlier_trainings --data FOLDER --out FOLDER [--seed 0 ...] RULE ...

PROTOCOL, fixed before the first run. As docs/training-protocol.md (vit_micro, AdamW, batch 128,
mirroring, float32) with these differences, which make a run short: the first 15,000 training
images, 2 epochs (236 steps), 1 thread. Seeds 0 to 4. Clean, and with outliers: in steps 10, 20,
... the pixels of one 4x4 patch of the batch's first image, rows and columns 12 to 15, are
multiplied by 1000 after standardisation. Test images are as they are, all 10,000.

Rules are those of `benchmarks.outlier_rules`. Today's, "un", is run whatever the cells of
`benchmarks.outlier_cells` show, and beside it the one chosen there, on images and a network that
have no part in this training. All seeds are run, none is left out; those that have not ended when
results are written are named as missing.

Reported: per rule, test loss and accuracy with outliers minus those of "un" trained clean, paired
by seed: mean, standard deviation, 95 % interval of Student's t; whether weights of the clean runs
equal those of "un" bit for bit, and how many tokens were scaled there.

A run that is complete is not run again: the same command goes on where it was stopped. Logs go to
benchmarks/results/outlier_trainings/, weights to --out.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.outlier_rules import RULES, norm_with, scaled_tokens
from models.fashion_mnist.outliers import with_outlier
from models.fashion_mnist.train import (
    Config,
    Dataset,
    batches,
    environment,
    evaluate,
    learning_rate,
    make_optimizer,
    write_atomically,
)
from models.vit import vit_micro

RESULTS = Path(__file__).parent / "results" / "outlier_trainings"
IMAGES, EPOCHS, EVERY = 15_000, 2, 10
SEEDS = range(5)


def name(rule: str, seed: int, outliers: bool) -> str:
    """File stem of a run."""
    return f"{rule}_seed{seed}{'_outliers' if outliers else ''}"


def weights_digest(network: nn.Module) -> str:
    """Of all parameters, so that equal ones are seen to be equal."""
    flat = torch.cat([p.detach().flatten() for p in network.parameters()])
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()


def train(
    rule: str, seed: int, outliers: bool, data: tuple[Dataset, Dataset], out: Path
) -> dict[str, Any]:
    """One run; its weights go to `out`."""
    train_set, test = data
    config = Config(rule, seed, 1, EPOCHS, outliers=outliers)
    torch.manual_seed(seed)
    network = vit_micro(norm_layer=partial(norm_with, rule)).train()
    optimizer = make_optimizer(network, config)
    generator = torch.Generator().manual_seed(seed)
    steps = EPOCHS * math.ceil(len(train_set.labels) / config.batch_size)
    losses, step, started = [], 0, time.process_time()
    for _ in range(EPOCHS):
        for pixels, labels in batches(train_set, config.batch_size, generator):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, config)
            if outliers and step % EVERY == EVERY - 1:
                pixels = with_outlier(pixels)
            optimizer.zero_grad()
            loss = F.cross_entropy(network(pixels), labels)
            loss.backward()
            optimizer.step()
            losses.append(round(loss.item(), 5))
            step += 1
    scaled = scaled_tokens(network)
    test_loss, correct = evaluate(network, test)
    write_atomically(
        out / f"{name(rule, seed, outliers)}.pt", lambda p: torch.save(network.state_dict(), p)
    )
    return {
        "rule": rule,
        "seed": seed,
        "outliers": outliers,
        "test_loss": test_loss,
        "test_accuracy": correct.double().mean().item(),
        "tokens_scaled": scaled,
        "weights": weights_digest(network),
        "cpu_seconds": round(time.process_time() - started, 1),
        "train_losses": losses,
        "environment": environment(),
    }


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--seed", "seeds", multiple=True, type=int, default=[*SEEDS])
@click.option("--clean/--outliers", "clean", default=None, help="Without either, both.")
@click.argument("rules", nargs=-1, type=click.Choice(["ln", *RULES]))
def main(
    directory: Path, out: Path, seeds: tuple[int, ...], clean: bool | None, rules: tuple[str, ...]
) -> None:
    """Run what is not complete yet."""
    torch.set_num_threads(1)
    whole, test = Dataset.load("train", directory), Dataset.load("t10k", directory)
    part = Dataset(whole.pixel_values[:IMAGES].clone(), whole.labels[:IMAGES].clone())
    del whole
    out.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    for seed in seeds:
        for rule in rules:
            for outliers in (False, True) if clean is None else (not clean,):
                log = RESULTS / f"{name(rule, seed, outliers)}.json"
                if log.is_file():
                    continue
                found = train(rule, seed, outliers, (part, test), out)
                text = json.dumps(found) + "\n"
                write_atomically(log, lambda path, text=text: path.write_text(text))
                click.echo(f"{log.stem}: {found['test_accuracy']:.2%}, {found['cpu_seconds']} s")


if __name__ == "__main__":
    main()
