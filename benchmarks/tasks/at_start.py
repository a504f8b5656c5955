"""How large is what a norm hands to the layer behind it, before the first step?

    python -m benchmarks.tasks.at_start

vit_micro of seed 0 as the protocol trains it, and DyT and Derf with alpha from another start; the
first 256 training images. Writes the root mean square behind each norm to
benchmarks/results/tasks/at_start.json. Nothing is trained or timed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from benchmarks.tasks.jobs import WHY_ALPHA, WHY_NORMS
from models.fashion_mnist import data
from models.fashion_mnist.train import Config, Dataset, environment
from un_deploy.files import atomic_write_text

RESULT = Path(__file__).parents[1] / "results" / "tasks" / "at_start.json"
IMAGES = 256


def sizes(config: Config, pixels: torch.Tensor) -> dict[str, float]:
    """Root mean square of what every norm gives, by its name; pixels (n, 1, 28, 28) float32."""
    model = config.model().train()
    found = {}

    def seen(name: str) -> Any:
        def hook(module: nn.Module, given: Any, made: torch.Tensor) -> None:
            found[name] = made.detach().square().mean().sqrt().item()

        return hook

    for name, module in model.named_modules():
        if "norm" in name.rsplit(".", 1)[-1]:
            module.register_forward_hook(seen(name))
    with torch.no_grad():
        model(pixels)
    return found


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), default=data.DEBIAN_DIRECTORY)
def main(directory: Path) -> None:
    """Measure, and write."""
    pixels = Dataset.load("train", directory).pixel_values[:IMAGES]
    starts: list[tuple[str, float | None]] = [(norm, None) for norm in ("ln", "bn", "un-scaled")]
    starts += [(norm, alpha) for norm in WHY_NORMS for alpha in (None, WHY_ALPHA)]
    entries = [
        {"norm": norm, "alpha": alpha, "sizes": sizes(Config(norm, 0, 1, alpha=alpha), pixels)}
        for norm, alpha in starts
    ]
    for one in entries:
        click.echo(f"{one['norm']} {one['alpha']} {one['sizes']}")
    text = json.dumps({"entries": entries, "environment": environment()}, indent=1) + "\n"
    atomic_write_text(RESULT, text, force=True)


if __name__ == "__main__":
    main()
