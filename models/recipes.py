"""Every network of this folder, and what whoever tests or measures all of them has to know.

A network that gets an entry here is in every test and benchmark that concerns it. The tests with
"micro" networks take seconds; the large ones are in the slow tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from . import bert, nmt, vit

Range = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Recipe:
    """One network.

    Attributes:
        factory: called as ``factory(norm_layer=...)``; makes a network that has
            ``example_inputs``, ``dynamic_axes`` and ``output_names`` (models/README.md).
        weights: how many the network with Layer Normalization has.
        norms: how many norms it has.
        layers: how many of each a runtime must recognize in its graph: "attention", "linear"
            (products with a constant matrix) and "gelu".
        micro: small enough for the tests that run at every change.
        batch: rows of the static graphs that are computed in float64; few for a large network.
        sizes: smallest, usual and largest size of every dynamic dimension, by its name.
        masked: it adds an attention mask to the scores.
        gains: linear layers without a bias behind a norm, which get one where it is folded; they
            are not counted in `layers`.
    """

    factory: Callable[..., nn.Module]
    weights: int
    norms: int
    layers: Mapping[str, int]
    micro: bool = False
    batch: int = 2
    sizes: Mapping[str, Range] = field(default_factory=lambda: {"batch": (1, 2, 8)})
    masked: bool = False
    gains: int = 0

    @property
    def name(self) -> str:
        """The factory's."""
        return self.factory.__name__

    def __str__(self) -> str:
        return self.name


def _vit(
    factory: Callable[..., nn.Module], weights: int, depth: int, *, micro: bool = False
) -> Recipe:
    return Recipe(
        factory,
        weights,
        norms=2 * depth + 1,
        layers={"attention": depth, "linear": 4 * depth + 1, "gelu": depth},
        micro=micro,
        batch=2 if micro else 1,
    )


def _bert(
    factory: Callable[..., nn.Module], weights: int, depth: int, *, micro: bool = False
) -> Recipe:
    return Recipe(
        factory,
        weights,
        norms=2 * depth + 1,
        layers={"attention": depth, "linear": 6 * depth, "gelu": depth},
        micro=micro,
        sizes={"batch": (1, 2, 8), "sequence": (8, 16, 32)},
        masked=True,
    )


_NMT_SIZES: dict[str, Range] = {
    "batch": (1, 2, 8),
    "source": (8, 16, 32),
    "target": (2, 3, 16),
    "past": (1, 8, 32),
}


def _nmt(
    factory: Callable[..., nn.Module], weights: int, norms: int, attention: int, linear: int
) -> Recipe:
    """The dimensions of a part are those of its inputs."""
    part = factory.__name__.rpartition("_")[2]
    open_ = {"encoder": "batch source", "first": "batch source target", "step": "batch source past"}
    sizes = {name: _NMT_SIZES[name] for name in open_.get(part, open_["first"]).split()}
    return Recipe(
        factory,
        weights,
        norms,
        layers={"attention": attention, "linear": linear, "gelu": 0},
        micro=norms < 13,
        sizes=sizes,
        masked=True,
        gains=int(part != "encoder"),  # the projection to words
    )


_ALL = (
    _vit(vit.vit_micro, 205_066, depth=4, micro=True),
    _bert(bert.bert_micro, 168_320, depth=2, micro=True),
    _nmt(nmt.nmt_micro, 46_080, norms=12, attention=6, linear=32),
    _nmt(nmt.nmt_micro_encoder, 20_352, norms=5, attention=2, linear=12),
    _nmt(nmt.nmt_micro_first, 28_928, norms=7, attention=4, linear=20),
    _nmt(nmt.nmt_micro_step, 28_928, norms=7, attention=4, linear=16),
    _vit(vit.vit_tiny, 5_717_416, depth=12),
    _vit(vit.vit_small, 22_050_664, depth=12),
    _nmt(nmt.nmt_iwslt, 36_743_168, norms=32, attention=18, linear=96),
    _nmt(nmt.nmt_iwslt_encoder, 17_815_552, norms=13, attention=6, linear=36),
    _nmt(nmt.nmt_iwslt_first, 24_125_440, norms=19, attention=12, linear=60),
    _nmt(nmt.nmt_iwslt_step, 24_125_440, norms=19, attention=12, linear=48),
    _bert(bert.bert_base, 108_891_648, depth=12),
    _vit(vit.vit_base, 86_567_656, depth=12),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
"""By name, in the order in which tests and benchmarks take them: small before large."""

MICRO = {name: recipe for name, recipe in RECIPES.items() if recipe.micro}
LARGE = {name: recipe for name, recipe in RECIPES.items() if not recipe.micro}
