"""The networks of the suite, their inputs, and weights that look trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from models import bert, vit
from tests.support.released_norm import ReleasedStyleNorm
from un_deploy.nn import UnifiedNorm

Kind = Literal["ln", "un", "released", "none"]
"""What is exported; the other variants are made of these."""

ROWS = 8
"""Different rows of input; a larger batch repeats them."""

SEED = 2208
_FORWARDS = 3

NORMS: dict[Kind, Callable[[int], nn.Module]] = {
    "ln": nn.LayerNorm,
    # With momentum 0 and a window of 1 the statistics are those of the last forward.
    "un": partial(UnifiedNorm, momentum=0.0, window_size=1),
    "released": ReleasedStyleNorm,
    "none": lambda dim: nn.Identity(),
}


@dataclass(frozen=True)
class Network:
    """One network.

    Attributes:
        make: builds it, called with ``norm_layer=``.
        sequence: tokens of a row of token ids; 0 for images.
        weights: about how many millions.
    """

    make: Callable[..., nn.Module]
    sequence: int = 0
    weights: float = 0.0


def _bert(dim: int, depth: int) -> Callable[..., nn.Module]:
    return partial(bert.bert_base, dim=dim, depth=depth, num_heads=dim // 64)


NETWORKS: dict[str, Network] = {
    "vit_small": Network(vit.vit_small, weights=22),
    "bert_256": Network(_bert(256, 6), sequence=128, weights=13),
    "vit_base": Network(vit.vit_base, weights=87),
    "vit_tiny": Network(vit.vit_tiny, weights=6),
    "bert_768": Network(_bert(768, 12), sequence=128, weights=109),
    "bert_512": Network(_bert(512, 6), sequence=128, weights=35),
    "vit_micro": Network(vit.vit_micro, weights=0.2),
    "bert_micro": Network(bert.bert_micro, sequence=32, weights=0.2),
}
"""Those of most interest first."""

LARGE = tuple(name for name in NETWORKS if not name.endswith("micro"))
MICRO = ("vit_micro", "bert_micro")

MISSING = {
    "swin": "there is no recipe models/swin.py",
    "t2t_vit": "there is no recipe models/t2t_vit.py",
    "nmt": "there is no recipe models/nmt.py",
}
"""Networks that the suite should hold and does not, and why."""


def inputs(name: str, module: nn.Module, batch: int) -> dict[str, Tensor]:
    """`batch` rows by the names of forward's parameters; row i is always row i mod ROWS."""
    network = NETWORKS[name]
    if network.sequence:
        rows = _tokens(module, network.sequence)
    else:
        rows = cast(vit.VisionTransformer, module).example_inputs(ROWS)
    take = torch.arange(batch) % ROWS
    return {key: tensor[take] for key, tensor in rows.items()}


def _tokens(module: nn.Module, sequence: int) -> dict[str, Tensor]:
    """Random sentence pairs of different lengths; the first row has no padding."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (ROWS, sequence)
    words = cast(bert.Bert, module).word_embeddings.num_embeddings
    ids = torch.randint(words, shape, generator=generator)
    lengths = torch.randint(sequence // 2, sequence + 1, (ROWS, 1), generator=generator)
    lengths[0] = sequence
    position = torch.arange(sequence).expand(shape)
    return {
        "input_ids": ids,
        "attention_mask": (position < lengths).long(),
        "token_type_ids": (position >= lengths // 2).long(),
    }


def build(name: str, kind: Kind) -> nn.Module:
    """A network in eval mode with one kind of norm; all kinds share every weight they both have.

    Norm weights are uniform in [0.5, 1.5] and biases normal with deviation 0.2, so that no norm is
    the identity; running second moments are those of the network's own inputs, so that activations
    have the sizes that training gives them and half precision holds them.
    """
    trained = _initialised(name, "un")
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for norm in trained.modules():
            if isinstance(norm, UnifiedNorm):
                norm.weight.uniform_(0.5, 1.5, generator=generator)
                norm.bias.normal_(0, 0.2, generator=generator)
        rows = inputs(name, trained, 2)
        for _ in range(_FORWARDS):
            trained.train()(**rows)
    if kind == "un":
        return trained.eval()
    module = _initialised(name, kind)
    state = trained.state_dict()
    missing = module.load_state_dict(
        {key: value for key, value in state.items() if key in module.state_dict()}, strict=False
    ).missing_keys
    assert not missing, missing
    return module.eval()


def _initialised(name: str, kind: Kind) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return NETWORKS[name].make(norm_layer=NORMS[kind])


def norms_of(module: nn.Module) -> int:
    """How many norms it has."""
    return sum(
        isinstance(part, nn.LayerNorm | UnifiedNorm | ReleasedStyleNorm)
        for part in module.modules()
    )
