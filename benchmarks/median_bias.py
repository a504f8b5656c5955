"""How far below the mean of x squared the robust rule's statistics lie on heavy tails.

    python -m benchmarks.median_bias

Per distribution and number of tokens in a batch, over 512 channels and 300 batches after 100 more:
the mean of `running_var`, and the geometric mean of the v that training itself normalises by, both
over the true mean of x squared; and the second moment of evaluation's outputs over that of
training's. A median lies below the mean where moments are skewed, and so does training's v in a
typical batch. Writes benchmarks/results/median_bias.json; docs/converting.md shows it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import StudentT

from un_deploy.nn import UnifiedNorm

RESULT = Path(__file__).parent / "results" / "median_bias.json"
CHANNELS, BEFORE, BATCHES = 512, 100, 300

Draw = Callable[[tuple[int, ...]], Tensor]

DISTRIBUTIONS: dict[str, tuple[Draw, float]] = {
    "Gaussian": (torch.randn, 1.0),
    "Student t(5)": (lambda shape: StudentT(5.0).sample(shape), 5 / 3),
    "Student t(3)": (lambda shape: StudentT(3.0).sample(shape), 3.0),
}
"""How to draw, and the mean of x squared."""

TOKENS = (16, 50, 200, 1600)


def measure(draw: Draw, mean: float, tokens: int) -> dict[str, float]:
    """The three ratios."""
    torch.manual_seed(0)
    norm = UnifiedNorm(CHANNELS)
    running, used, trained, evaluated = 0.0, 0.0, 0.0, 0.0
    with torch.no_grad():
        for step in range(BEFORE + BATCHES):
            x = draw((tokens, CHANNELS))
            y = norm(x)
            if step < BEFORE:
                continue
            running += norm.running_var.mean().item() / mean / BATCHES
            used += (x[0] / y[0]).square().log().mean().item() / BATCHES
            trained += y.square().mean().item()
            evaluated += norm.eval()(x).square().mean().item()
            norm.train()
    return {
        "running_var": round(running, 3),
        "v_of_training": round(math.exp(used) / mean, 3),
        "evaluation_over_training": round(evaluated / trained, 3),
    }


def main() -> None:
    """Measure all, write and print."""
    rows = [
        {"distribution": name, "tokens": tokens, **measure(*DISTRIBUTIONS[name], tokens)}
        for name in DISTRIBUTIONS
        for tokens in TOKENS
    ]
    result = {"channels": CHANNELS, "batches": BATCHES, "torch": torch.__version__, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in rows:
        print(*row.values())


if __name__ == "__main__":
    main()
