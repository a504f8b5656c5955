"""Do folded parts of a translation network write PyTorch's sentences?

    python -m benchmarks.beam_search [--write]

Protocol, fixed before it was run: `models.nmt.nmt_micro` with Unified Normalization (its default
training rule, the padding of both sides masked) is trained from seed 2208 to copy its source, 4 to
12 random words, in 3,000 steps of Adam on 64 new sentences each; the learning rate rises to 0.003
in 200 steps and falls with the square root of the steps behind. Its three parts are exported with
open sizes and folded, every norm. 200 further sentences are then copied by greedy search and with
4 beams (models/search.py), at most 16 tokens each: over the parts in PyTorch, unfolded, and over
the folded graphs in ONNX Runtime. The tokens of the best beam must be the same, except where
PyTorch's own margin, the smallest difference of scores that decided, is below 1e-4: those sentences
are counted.

--write puts the result to benchmarks/results/beam_search.json. The exit code is 1 where tokens
differ beyond the margin, or a norm stayed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models import nmt
from models.search import Found, Part, beam_search
from un_deploy.files import atomic_write_text
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.measure.speed.environment import environment
from un_deploy.nn import UnifiedNorm
from un_deploy.pipeline.export.forward import as_tensors, outputs_of
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

RESULT = Path(__file__).parent / "results" / "beam_search.json"
SEED = 2208
STEPS, BATCH, RATE, WARMUP = 3000, 64, 3e-3, 200
WORDS = (4, 12)
LENGTH = 16
SENTENCES = 200
BEAMS = (1, 4)
MARGIN = 1e-4


def sentences(count: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Random words and their end, padded: source_ids and source_mask, each (count, 13)."""
    longest = WORDS[1] + 1
    ids = torch.randint(nmt.WORDS, 100, (count, longest), generator=generator)
    lengths = torch.randint(WORDS[0], longest, (count, 1), generator=generator)
    place = torch.arange(longest)
    ids = ids.where(place < lengths, nmt.PADDING).where(place != lengths, nmt.END)
    return {"source_ids": ids, "source_mask": (place <= lengths).long()}


def train(steps: int, seed: int = SEED) -> tuple[nmt.Translation, float]:
    """The network in eval mode, and the last loss in nats a token."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nmt.nmt_micro(norm_layer=UnifiedNorm)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, betas=(0.9, 0.98))
    loss = torch.zeros(())
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(step / WARMUP, (WARMUP / step) ** 0.5)
        batch = sentences(BATCH, generator)
        wanted = batch["source_ids"]
        before = torch.cat([torch.full((BATCH, 1), nmt.END), wanted[:, :-1]], 1)
        before = before.where(batch["source_mask"] == 1, nmt.PADDING)
        logits = network(**batch, target_ids=before)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=nmt.PADDING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval(), loss.item()


def in_pytorch(network: nmt.Translation) -> dict[str, Part]:
    """The parts as callables."""

    def run(part: Any) -> Part:
        return lambda feeds: {n: t.numpy() for n, t in outputs_of(part, as_tensors(feeds)).items()}

    return {name: run(part) for name, part in network.parts().items()}


def folded(
    network: nmt.Translation, require: Literal["all", 0] = "all"
) -> tuple[dict[str, Part], dict[str, int]]:
    """The parts, folded, in ONNX Runtime; and how many norms of each were folded.

    Args:
        require: how many must be.

    Raises:
        ThresholdError: a norm stayed that must not.
    """
    parts: dict[str, Part] = {}
    norms = {}
    for name, part in network.parts().items():
        module: Any = part
        found = fold_graph(to_onnx(module, module.example_inputs()))
        found.report.require(require)
        norms[name] = len(found.report.folded)
        parts[name] = OnnxRuntime(threads=1).load(found.model).run
    return parts, norms


def search(parts: Mapping[str, Part], source: Mapping[str, np.ndarray], beams: int) -> Found:
    """Copies of sentences."""
    encoded = parts["encoder"](dict(source))
    return beam_search(
        parts["first"],
        parts["step"],
        np.full((len(source["source_ids"]), 1), nmt.END),
        {"source_mask": source["source_mask"], **encoded},
        end=nmt.END,
        beams=beams,
        length=LENGTH,
        keep=("source_mask",),
    )


def measure(steps: int = STEPS, count: int = SENTENCES) -> dict[str, Any]:
    """Train, export, fold, and compare both searches."""
    network, loss = train(steps)
    made = sentences(count, torch.Generator().manual_seed(SEED + 1))
    source = {name: tensor.numpy() for name, tensor in made.items()}
    parts, norms = folded(network)
    searches = []
    for beams in BEAMS:
        wanted = search(in_pytorch(network), source, beams)
        got = search(parts, source, beams)
        ids = source["source_ids"]
        copied = sum(_words(a) == _words(b) for a, b in zip(wanted.tokens[:, 0], ids, strict=True))
        one, two = wanted.tokens[:, 0], got.tokens[:, 0]
        same = np.array([_words(a) == _words(b) for a, b in zip(one, two, strict=True)])
        close = wanted.margins < MARGIN
        searches.append(
            {
                "beams": beams,
                "copied": copied,
                "same": int(same.sum()),
                "close": int(close.sum()),
                "differ_beyond_margin": int((~same & ~close).sum()),
                "smallest_margin": float(wanted.margins.min()),
                "largest_score_difference": float(
                    np.abs(wanted.scores[same, 0] - got.scores[same, 0]).max(initial=0)
                ),
            }
        )
    return {
        "network": "nmt_micro",
        "steps": steps,
        "loss": loss,
        "norms": norms,
        "sentences": count,
        "margin": MARGIN,
        "searches": searches,
        "environment": environment(),
    }


def _words(tokens: np.ndarray) -> list[int]:
    """A sentence up to its end."""
    ends = np.flatnonzero(tokens == nmt.END)
    found: list[int] = tokens[: ends[0] if len(ends) else None].tolist()
    return found


@click.command()
@click.option("--write", is_flag=True, help="Replace what stands in the results.")
def main(write: bool) -> None:
    """Measure, print, and say whether the tokens are PyTorch's."""
    result = measure()
    if write:
        atomic_write_text(RESULT, json.dumps(result, indent=1) + "\n", force=True)
    for one in result["searches"]:
        click.echo(json.dumps(one))
    raise SystemExit(any(one["differ_beyond_margin"] for one in result["searches"]))


if __name__ == "__main__":
    main()
