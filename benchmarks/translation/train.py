"""Trains a small translation network with any norm of models/norms.py; resumable.

    python -m benchmarks.translation.train --norm un --seed 0 --data FOLDER --out FOLDER

--data is what `benchmarks.translation.prepare` wrote. In --out it writes NAME.jsonl, the log;
NAME.pt, the weights of the last epoch, once the run is complete; and until then NAME.resume.pt. The
same command takes a stopped run up again where its last epoch ended.

The protocol and its reasons: docs/translation-protocol.md.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.translation.sentences import Batch, Corpus, in_order_of_length, in_random_order
from models import nmt
from models.fashion_mnist.train import environment, write_atomically
from models.norms import NORMS

WORDS = 4000
EVERY, FACTOR = 50, 1000.0
"""Steps from one outlier to the next, and what its embedding is multiplied by."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the trained weights, apart from the machine and the data."""

    norm: str
    seed: int
    outliers: bool = False
    epochs: int = 16
    learning_rate: float = 2e-3
    warmup_fraction: float = 0.05
    smoothing: float = 0.1
    dim: int = 128
    hidden_dim: int = 256
    depth: int = 3
    num_heads: int = 4
    words: int = WORDS

    @property
    def name(self) -> str:
        """File stem of the run."""
        return f"nmt_{self.norm}_seed{self.seed}{'_outliers' if self.outliers else ''}"


def network_of(config: Config) -> nmt.Translation:
    """With the seed's weights; it takes 256 positions."""
    torch.manual_seed(config.seed)
    sizes = {name: getattr(config, name) for name in ("dim", "hidden_dim", "depth", "num_heads")}
    return nmt.Translation(
        words=config.words, max_positions=256, norm_layer=NORMS[config.norm], **sizes
    )


def loss_of(network: nn.Module, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, int]:
    """Cross-entropy in nats a token of the target, and of how many tokens."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "wanted_ids"}
    wanted = batch["wanted_ids"].flatten()
    logits = network(**inputs).flatten(0, 1)
    loss = F.cross_entropy(logits, wanted, ignore_index=nmt.PADDING, label_smoothing=smoothing)
    return loss, int((wanted != nmt.PADDING).sum())


def outlier_in_next_source(network: nmt.Translation) -> None:
    """Multiply one token's embedding in the next forward: the first of the first source."""

    def multiply(_module: nn.Module, _ids: Any, embedded: Tensor) -> Tensor:
        hook.remove()  # the embedding is the target's too, which is looked up later
        embedded = embedded.clone()
        embedded[0, 0] *= FACTOR
        return embedded

    hook = network.encoder.embed_tokens.register_forward_hook(multiply)


def mean_loss(network: nn.Module, corpus: Corpus) -> float:
    """Nats a token, without smoothing."""
    network.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for group in in_order_of_length(corpus):
            loss, tokens = loss_of(network, corpus.batch(group))
            total, count = total + loss.item() * tokens, count + tokens
    return total / count


def rate(share: float, config: Config) -> float:
    """Of the way: linear warm-up, then a cosine to 0, as on Fashion-MNIST."""
    if share < config.warmup_fraction:
        return config.learning_rate * share / config.warmup_fraction
    way = (share - config.warmup_fraction) / (1 - config.warmup_fraction)
    return config.learning_rate * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * way))))


class Training:
    """A run: network, optimiser, order of the pairs and log, saved and restored together.

    Raises:
        click.ClickException: ``out`` holds a run of that name with another configuration.
    """

    def __init__(self, config: Config, train: Corpus, test: Corpus, out: Path) -> None:
        self.config, self.train, self.test = config, train, test
        self.resume_file = out / f"{config.name}.resume.pt"
        self.weights_file = out / f"{config.name}.pt"
        self.log_file = out / f"{config.name}.jsonl"
        self.network = network_of(config)
        self.optimizer = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.98))
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epochs_done, self.steps_done = 0, 0
        self.log: list[dict[str, Any]] = []
        if self.resume_file.is_file():
            self.restore()
        self.record(
            "resume" if self.epochs_done else "start",
            config=asdict(config),
            environment=environment(),
        )

    def record(self, event: str, **values: Any) -> None:
        """Add a line to the log and rewrite its file."""
        self.log.append({"event": event, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values})
        text = "".join(json.dumps(line) + "\n" for line in self.log)
        write_atomically(self.log_file, lambda path: path.write_text(text))

    def state(self) -> dict[str, Any]:
        """What the next epochs depend on."""
        return {
            "config": asdict(self.config),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "done": (self.epochs_done, self.steps_done),
            "log": self.log,
        }

    def restore(self) -> None:
        """Take the run up where its last complete epoch ended."""
        state = torch.load(self.resume_file, weights_only=True)
        if state["config"] != asdict(self.config):
            raise click.ClickException(f"{self.resume_file} is of a run with another configuration")
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.epochs_done, self.steps_done = state["done"]
        self.log = state["log"]

    def train_epoch(self) -> float:
        """One pass over the pairs; gives the mean loss over the target's tokens."""
        self.network.train()
        epoch = [*in_random_order(self.train, self.generator)]
        total, count = 0.0, 0
        for number, batch in enumerate(epoch, 1):
            share = (self.epochs_done + number / len(epoch)) / self.config.epochs
            for group in self.optimizer.param_groups:
                group["lr"] = rate(share, self.config)
            self.steps_done += 1
            if self.config.outliers and self.steps_done % EVERY == 0:
                outlier_in_next_source(self.network)
            self.optimizer.zero_grad()
            loss, tokens = loss_of(self.network, batch, self.config.smoothing)
            loss.backward()
            self.optimizer.step()
            total, count = total + loss.item() * tokens, count + tokens
        return total / count

    def run(self) -> None:
        """Train what is left of the epochs, then write the weights of the last one."""
        while self.epochs_done < self.config.epochs:
            started = time.process_time()
            train_loss = self.train_epoch()
            self.epochs_done += 1
            self.record(
                "epoch",
                epoch=self.epochs_done,
                steps=self.steps_done,
                train_loss=train_loss,
                test_loss=mean_loss(self.network, self.test),
                cpu_seconds=round(time.process_time() - started, 1),
            )
            write_atomically(self.resume_file, lambda path: torch.save(self.state(), path))
        weights = self.network.state_dict()
        write_atomically(self.weights_file, lambda path: torch.save(weights, path))
        self.record("end", test_loss=mean_loss(self.network, self.test))
        self.resume_file.unlink()


@click.command()
@click.option("--norm", type=click.Choice([*NORMS]), required=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--outliers", is_flag=True, help="Every 50th step has a token x 1000.")
@click.option("--epochs", type=click.IntRange(min=1), default=Config.epochs, show_default=True)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
def main(norm: str, seed: int, outliers: bool, epochs: int, data: Path, out: Path) -> None:
    """Train; run the same command again to resume."""
    torch.set_num_threads(1)
    config = Config(norm, seed, outliers, epochs)
    out.mkdir(parents=True, exist_ok=True)
    train, test = (Corpus.load(data / f"{name}.npz") for name in ("train", "test"))
    Training(config, train, test, out).run()


if __name__ == "__main__":
    main()
