"""What one outlier token does to the other images of its batch, in a training step.

    python -m benchmarks.outlier_batches

For the kept checkpoints of seed 0 (LN, and UN in robust mode): 128 kept images, once as they are
and once with the protocol's outlier in the first. Training mode, the norms' histories filled by 12
clean batches first. Compared are the other 127 images: their loss, and the gradient that they
alone give to all weights (cosine and length against the gradient without the outlier). Writes
benchmarks/results/fashion_mnist/outlier_batches.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.fashion_mnist import data
from models.fashion_mnist.norms import NORMS
from models.fashion_mnist.outliers import with_outlier
from models.vit import vit_micro
from un_deploy.nn import load_checkpoint

RESULT = Path(__file__).parent / "results" / "fashion_mnist" / "outlier_batches.json"
CHECKPOINTS = Path(__file__).parents[1] / "models" / "checkpoints"
BATCH = 128
CLEAN_BATCHES = 12


def step(network: nn.Module, pixels: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    """Loss of all images but the first, and its gradient for all weights, (weights,)."""
    network.zero_grad()
    loss = F.cross_entropy(network(pixels)[1:], labels[1:])
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in network.parameters()])


def measure(norm: str) -> dict[str, float]:
    """What the outlier changes for the others."""
    network = vit_micro(norm_layer=NORMS[norm])
    load_checkpoint(network, CHECKPOINTS / f"vit_micro_{norm}_seed0.pt")
    network.train()
    images, labels = data.load_kept()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    pixels = torch.from_numpy(data.pixel_values(images))[order]
    targets = torch.from_numpy(labels).long()[order]
    with torch.no_grad():
        for number in range(CLEAN_BATCHES):
            network(pixels.roll(-number * BATCH // 2, 0)[:BATCH])
    state = {name: value.clone() for name, value in network.state_dict().items()}
    loss, gradient = step(network, pixels[:BATCH], targets[:BATCH])
    network.load_state_dict(state)
    hit, hit_gradient = step(network, with_outlier(pixels[:BATCH]), targets[:BATCH])
    network.load_state_dict(state)
    return {
        "loss_of_the_others": loss,
        "with_the_outlier": hit,
        "gradient_cosine": F.cosine_similarity(gradient, hit_gradient, dim=0).item(),
        "gradient_length_ratio": (hit_gradient.norm() / gradient.norm()).item(),
    }


def main() -> None:
    """Measure both, print and write."""
    found = {norm: measure(norm) for norm in ("ln", "un")}
    RESULT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
