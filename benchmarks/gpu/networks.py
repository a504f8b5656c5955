"""The networks of the suite, their inputs, and weights that look trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from models import bert, nmt, swin, t2t_vit, vit
from models.norms import Derf
from models.recipes import RECIPES
from tests.support.networks.trained_like import norms, variant

Kind = Literal["ln", "ln_separate", "un", "released", "none", "rms", "bn", "dyt", "derf"]
"""What is exported; the variants are made of these."""

ROWS = 8
"""Different rows of input; a larger batch repeats them."""

SEED = 2208

FORWARDS = 3
"""Forwards from which the norms learn their statistics: enough for activations that half precision
holds, and few, since they run on the CPU."""


@dataclass(frozen=True)
class Network:
    """Its recipe, about how many million weights it has, and tokens of a row; 0 for images.

    `folds_to` makes, without norms, what its fold is, where that has biases which it lacks.
    """

    make: Callable[..., nn.Module]
    weights: float
    tokens: int = 0
    folds_to: Callable[..., nn.Module] | None = None


def _bert(dim: int, depth: int) -> Callable[..., nn.Module]:
    return partial(bert.bert_base, dim=dim, depth=depth, num_heads=dim // 64)


NETWORKS: dict[str, Network] = {
    "vit_small": Network(vit.vit_small, 22),
    "bert_256": Network(_bert(256, 6), 13, tokens=128),
    "vit_base": Network(vit.vit_base, 87),
    "vit_tiny": Network(vit.vit_tiny, 6),
    "bert_768": Network(_bert(768, 12), 109, tokens=128),
    "bert_512": Network(_bert(512, 6), 35, tokens=128),
    "swin_tiny": Network(swin.swin_tiny, 28, folds_to=RECIPES["swin_tiny"].folds_to),
    "t2t_vit_14": Network(t2t_vit.t2t_vit_14, 22, folds_to=RECIPES["t2t_vit_14"].folds_to),
    "nmt_cached_step": Network(nmt.nmt_iwslt_step, 24, folds_to=RECIPES["nmt_iwslt_step"].folds_to),
    "vit_micro": Network(vit.vit_micro, 0.2),
    "bert_micro": Network(bert.bert_micro, 0.2, tokens=32),
}
"""Those of most interest first."""

MICRO = ("vit_micro", "bert_micro")

WANTED = ("swin_tiny", "t2t_vit_14", "nmt_cached_step")
"""The paper's networks. Each has cells of its own as soon as it is one of `NETWORKS`."""

LARGE = tuple(name for name in NETWORKS if name not in (*MICRO, *WANTED))
"""Networks that are measured at every batch and mode."""

PAPER = tuple(name for name in WANTED if name in NETWORKS)

MISSING = {
    name: "benchmarks/gpu/networks.py has no such network" for name in WANTED if name not in PAPER
}
"""Networks that the suite should hold and does not, and why."""


class SeparateLayerNorm(nn.LayerNorm):
    """Layer Normalization as one kernel for each step: nine in place of one."""

    def forward(self, x: Tensor) -> Tensor:
        """The same as `torch.nn.LayerNorm` of the last axis."""
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + self.eps) * self.weight + self.bias


def build(name: str, kind: Kind) -> nn.Module:
    """A network in eval mode; see `tests.support.networks.trained_like.variant`."""
    separate = kind == "ln_separate"
    network = NETWORKS[name]
    make = (network.folds_to if kind == "none" else None) or network.make
    module = variant(make, "ln" if separate else kind, SEED, forwards=FORWARDS)
    for norm in norms(module) if separate else ():
        norm.__class__ = SeparateLayerNorm
    for part in module.modules() if kind == "derf" else ():
        if isinstance(part, Derf):
            nn.init.constant_(part.shift, 0.1)  # at 0 it would be folded away
    return module


def inputs(name: str, module: nn.Module, batch: int) -> dict[str, Tensor]:
    """Inputs by the names of forward's parameters; row i is always row i mod ROWS.

    Rows of tokens are the few of the recipe's own example, again and again.
    """
    rows = module.example_inputs(ROWS)
    tokens = NETWORKS[name].tokens
    if tokens:
        rows = {key: row.repeat(1, tokens // row.shape[1]) for key, row in rows.items()}
    return {key: tensor[torch.arange(batch) % ROWS] for key, tensor in rows.items()}
