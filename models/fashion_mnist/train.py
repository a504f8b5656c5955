"""Trains a small network on Fashion-MNIST, with any norm of models/norms.py; resumable.

    python -m un_deploy.models.fashion_mnist.train --norm un --seed 0 --out out

(``python -m models.fashion_mnist.train`` in a checkout). In --out it writes NAME.jsonl, the log;
NAME.pt, the weights of the last epoch, once the run is complete; and until then NAME.resume.pt,
replaced after every epoch. The same command takes a stopped run up again and ends, on a CPU with
as many threads, at the same weights bit for bit: whatever an epoch depends on is in that file.

The protocol and its reasons: docs/training-protocol.md.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from . import data
from .networks import NETWORKS, as_input
from .norms import NORMS
from .outliers import EVERY, with_outlier

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Config:
    """Everything that decides the trained weights, apart from the machine."""

    norm: str
    seed: int
    threads: int
    epochs: int = 7
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_fraction: float = 0.05
    outliers: bool = False
    network: str = "vit_micro"
    alpha: float | None = None

    @property
    def name(self) -> str:
        """File stem of the run."""
        rate = self.learning_rate / Config.learning_rate
        variant = (f"_rate{rate:g}" if rate != 1 else "") + ("_outliers" if self.outliers else "")
        variant += "" if self.alpha is None else f"_alpha{self.alpha:g}"
        return f"{self.network}_{self.norm}_seed{self.seed}{variant}"

    def model(self) -> nn.Module:
        """The network with its norms, before its first step."""
        torch.manual_seed(self.seed)
        norm = NORMS[self.norm]
        if self.alpha is not None:
            norm = partial(norm, alpha=self.alpha)
        return NETWORKS[self.network](norm_layer=norm)


@dataclass(frozen=True)
class Dataset:
    """One split: pixel_values (n, 1, side, side) float32 and labels (n,) int64."""

    pixel_values: Tensor
    labels: Tensor

    @classmethod
    def load(cls, split: data.Split, directory: Path, network: str = "vit_micro") -> Dataset:
        """Read a split of the complete set from a folder, as the network takes it."""
        images, labels = data.load(split, directory)
        pixels = as_input(network, torch.from_numpy(data.pixel_values(images)))
        return cls(pixels, torch.from_numpy(labels.astype(np.int64)))


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Linear warm-up, then a cosine to zero; ``step`` counts optimiser steps from 0."""
    warmup = max(1, round(config.warmup_fraction * steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(model: nn.Module, config: Config) -> torch.optim.AdamW:
    """AdamW; weights of linear and convolution layers decay, everything else does not."""
    layers = (nn.Linear, nn.Conv2d)
    decayed = [module.weight for module in model.modules() if isinstance(module, layers)]
    kept = {id(weight) for weight in decayed}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in kept]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def batches(
    train: Dataset, batch_size: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch in random order, every image mirrored with probability 1/2."""
    for indices in torch.randperm(len(train.labels), generator=generator).split(batch_size):
        pixels = train.pixel_values[indices]
        mirrored = torch.rand(len(indices), 1, 1, 1, generator=generator) < 0.5
        yield torch.where(mirrored, pixels.flip(-1), pixels), train.labels[indices]


def evaluate(model: nn.Module, test: Dataset) -> tuple[float, Tensor]:
    """Mean cross-entropy over the test set, and which images are classified right (bool)."""
    model.eval()
    with torch.no_grad():
        chunks = test.pixel_values.split(EVALUATION_BATCH)
        logits = torch.cat([model(chunk) for chunk in chunks])
    return F.cross_entropy(logits, test.labels).item(), logits.argmax(1) == test.labels


def environment() -> dict[str, Any]:
    """The machine and the versions, as the log states them."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target, then rename: a stopped run leaves no half-written file."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary)
    temporary.replace(path)


class Training:
    """A run: network, optimiser, random numbers and log, which are saved and restored together.

    Args:
        config: the protocol's values.
        train, test: the two splits.
        out: existing folder for the run's files.

    Raises:
        click.ClickException: ``out`` holds a run of that name with another configuration.
    """

    def __init__(self, config: Config, train: Dataset, test: Dataset, out: Path) -> None:
        self.config, self.train, self.test = config, train, test
        self.resume_file = out / f"{config.name}.resume.pt"
        self.weights_file = out / f"{config.name}.pt"
        self.log_file = out / f"{config.name}.jsonl"
        self.model = config.model()
        self.optimizer = make_optimizer(self.model, config)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epochs_done = 0
        self.steps_per_epoch = math.ceil(len(train.labels) / config.batch_size)
        self.log: list[dict[str, Any]] = []
        if self.resume_file.is_file():
            self.restore()
        self.record("resume" if self.epochs_done else "start", environment=environment())

    def record(self, event: str, **values: Any) -> None:
        """Add a line to the log and rewrite its file."""
        if event == "start":
            values = {"config": asdict(self.config), **values}
        self.log.append({"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values})
        text = "".join(json.dumps(line) + "\n" for line in self.log)
        write_atomically(self.log_file, lambda path: path.write_text(text))

    def save(self) -> None:
        """Save what the next epochs depend on."""
        state = {
            "config": asdict(self.config),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epochs_done": self.epochs_done,
            "log": self.log,
        }
        write_atomically(self.resume_file, lambda path: torch.save(state, path))

    def restore(self) -> None:
        """Take the run up where its last complete epoch ended."""
        state = torch.load(self.resume_file, weights_only=True)
        if state["config"] != asdict(self.config):
            raise click.ClickException(
                f"{self.resume_file} is of a run with another configuration "
                f"({state['config']}); choose another --out, or delete it to start anew"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.epochs_done = state["epochs_done"]
        self.log = state["log"]

    def train_epoch(self, advance: Callable[[], object]) -> float:
        """One pass over the training set; returns the mean loss over its images."""
        self.model.train()
        step = self.epochs_done * self.steps_per_epoch
        total = torch.zeros((), dtype=torch.float64)
        for pixels, labels in batches(self.train, self.config.batch_size, self.generator):
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(
                    step, self.config.epochs * self.steps_per_epoch, self.config
                )
            if self.config.outliers and step % EVERY == EVERY - 1:
                pixels = with_outlier(pixels)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(pixels), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(labels)
            step += 1
            advance()
        return total.item() / len(self.train.labels)

    def run(self, progress: Progress) -> None:
        """Train what is left of the epochs, then write the weights of the last one."""
        steps = self.config.epochs * self.steps_per_epoch
        bar = progress.add_task(
            self.config.name, total=steps, completed=self.epochs_done * self.steps_per_epoch
        )
        while self.epochs_done < self.config.epochs:
            started = time.perf_counter()
            train_loss = self.train_epoch(lambda: progress.advance(bar))
            test_loss, correct = evaluate(self.model, self.test)
            self.epochs_done += 1
            self.record(
                "epoch",
                epoch=self.epochs_done,
                train_loss=train_loss,
                test_loss=test_loss,
                test_accuracy=correct.double().mean().item(),
                seconds=round(time.perf_counter() - started, 1),
            )
            self.save()
        _, correct = evaluate(self.model, self.test)
        kept = data.kept_indices(self.test.labels.numpy())
        write_atomically(self.weights_file, lambda path: torch.save(self.model.state_dict(), path))
        self.record(
            "end",
            test_accuracy=correct.double().mean().item(),
            kept_accuracy=correct[kept].double().mean().item(),
        )
        self.resume_file.unlink()


@click.command()
@click.option("--network", type=click.Choice([*NETWORKS]), default=Config.network)
@click.option("--norm", type=click.Choice([*NORMS]), required=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--data",
    "directory",
    type=click.Path(path_type=Path),
    default=data.DEBIAN_DIRECTORY,
    show_default=True,
    help="Folder with the four .gz files of Fashion-MNIST.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--epochs", type=click.IntRange(min=1), default=Config.epochs, show_default=True)
@click.option("--rate", type=float, default=Config.learning_rate, show_default=True)
@click.option("--alpha", type=float, help="Where alpha of dyt and derf starts, if not at 0.5.")
@click.option("--outliers", is_flag=True, help="Now and then a batch holds a token x 1000.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
def main(
    network: str,
    norm: str,
    seed: int,
    directory: Path,
    out: Path,
    epochs: int,
    rate: float,
    alpha: float | None,
    outliers: bool,
    threads: int,
) -> None:
    """Train a network on Fashion-MNIST; run the same command again to resume."""
    if alpha is not None and norm not in ("dyt", "derf"):
        raise click.UsageError(f"{norm} has no alpha: leave --alpha out, or take dyt or derf.")
    config = Config(
        *(norm, seed, threads, epochs),
        learning_rate=rate,
        outliers=outliers,
        network=network,
        alpha=alpha,
    )
    torch.set_num_threads(threads)
    try:
        train = Dataset.load("train", directory, network)
        test = Dataset.load("t10k", directory, network)
    except data.DataError as error:
        raise click.ClickException(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    if (out / f"{config.name}.pt").exists():
        raise click.ClickException(f"{out / config.name}.pt: this run is complete already")
    training = Training(config, train, test, out)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        training.run(progress)
    click.echo(f"test accuracy {training.log[-1]['test_accuracy']:.2%}, log in {training.log_file}")


if __name__ == "__main__":
    main()
