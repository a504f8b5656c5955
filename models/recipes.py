"""Every network of this folder, and what whoever tests or measures all of them has to know.

A network that gets an entry here is in every test and benchmark that concerns it. The tests with
"micro" networks take seconds; the large ones are in the slow tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import nn

from . import bert, nmt, swin, t2t_vit, vit

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
            (products with a constant matrix, and a bias) and "gelu"; a fold may add biases.
        micro: small enough, and its graph too, for the tests that run at every change.
        batch: rows of the static graphs that are computed in float64; few for a large network.
        sizes: smallest, usual and largest size of every dynamic dimension, by its name.
        masked: it adds an attention mask to the scores.
        biased: the factory's arguments that give every linear layer behind a norm a bias, where
            some have none.
        measured: in the slow tests and the benchmarks; False where nothing but sizes or parts
            tells it from networks that are.
        slow: micro, and still only in the slow tests, but for one export: a part of a network.
    """

    factory: Callable[..., nn.Module]
    weights: int
    norms: int
    layers: Mapping[str, int]
    micro: bool = False
    batch: int = 2
    sizes: Mapping[str, Range] = field(default_factory=lambda: {"batch": (1, 2, 8)})
    masked: bool = False
    biased: Mapping[str, Any] = field(default_factory=dict)
    measured: bool = True
    slow: bool = False

    @property
    def folds_to(self) -> Callable[..., nn.Module]:
        """Makes, without norms, the network that a fold makes: a shift needs a bias to go into."""
        return partial(self.factory, **self.biased) if self.biased else self.factory

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


def _t2t_vit(
    factory: Callable[..., nn.Module],
    weights: int,
    depth: int,
    *,
    transformer: bool = False,
    micro: bool = False,
    measured: bool = False,
) -> Recipe:
    return Recipe(
        factory,
        weights,
        norms=2 * depth + 5,
        layers={
            "attention": depth + (2 if transformer else 0),
            "linear": 3 * depth + (8 if transformer else 10),
            "gelu": depth + 2,
        },
        micro=micro,
        batch=2 if micro else 1,
        biased={"qkv_bias": True},
        measured=micro or measured,
    )


_Part = Literal["whole", "encoder", "first", "step"]

#: Of a layer: norms, attentions and linear layers; behind the last one stands one norm a stack.
_NMT: dict[_Part, tuple[int, int, int]] = {
    "whole": (5, 3, 16),
    "encoder": (2, 1, 6),
    "first": (3, 2, 10),
    "step": (3, 2, 8),
}


def _nmt(
    factory: Callable[..., nn.Module], weights: int, depth: int, part: _Part, *, micro: bool = False
) -> Recipe:
    norms, attention, linear = (depth * of_a_layer for of_a_layer in _NMT[part])
    sizes: dict[str, Range] = {"batch": (1, 2, 8), "source": (8, 16, 32)}
    if part == "step":
        sizes["past"] = (1, 8, 32)
    elif part != "encoder":
        sizes["target"] = (2, 3, 16)
    return Recipe(
        factory,
        weights,
        norms=norms + (2 if part == "whole" else 1),
        layers={"attention": attention, "linear": linear, "gelu": 0},
        micro=micro,
        sizes=sizes,
        masked=True,
        biased={} if part == "encoder" else {"output_bias": True},
        measured=part != "whole",
        slow=micro,
    )


def _swin(
    factory: Callable[..., nn.Module],
    weights: int,
    depth: int,
    *,
    stages: int = 4,
    measured: bool = True,
) -> Recipe:
    return Recipe(
        factory,
        weights,
        norms=2 * depth + stages + 1,
        layers={"attention": depth, "linear": 4 * depth + 1, "gelu": depth},
        batch=1,
        biased={"reduction_bias": True},
        measured=measured,
    )


_ALL = (
    _vit(vit.vit_micro, 205_066, depth=4, micro=True),
    _bert(bert.bert_micro, 168_320, depth=2, micro=True),
    _t2t_vit(t2t_vit.t2t_vit_micro, 143_436, depth=2, micro=True),
    _nmt(nmt.nmt_micro, 46_080, 2, "whole", micro=True),
    _nmt(nmt.nmt_micro_encoder, 20_352, 2, "encoder", micro=True),
    _nmt(nmt.nmt_micro_first, 28_928, 2, "first", micro=True),
    _nmt(nmt.nmt_micro_step, 28_928, 2, "step", micro=True),
    _vit(vit.vit_tiny, 5_717_416, depth=12),
    _vit(vit.vit_small, 22_050_664, depth=12),
    _t2t_vit(t2t_vit.t2t_vit_7, 4_310_222, depth=7),
    _t2t_vit(t2t_vit.t2t_vit_10, 5_889_230, depth=10),
    _t2t_vit(t2t_vit.t2t_vit_12, 6_941_902, depth=12),
    _t2t_vit(t2t_vit.t2t_vit_14, 21_545_550, depth=14, measured=True),
    _t2t_vit(t2t_vit.t2t_vit_19, 39_177_422, depth=19),
    _t2t_vit(t2t_vit.t2t_vit_24, 64_105_934, depth=24),
    _t2t_vit(t2t_vit.t2t_vit_t_14, 21_541_070, depth=14, transformer=True),
    _t2t_vit(t2t_vit.t2t_vit_t_19, 39_172_942, depth=19, transformer=True),
    _t2t_vit(t2t_vit.t2t_vit_t_24, 64_101_454, depth=24, transformer=True),
    _nmt(nmt.nmt_iwslt, 36_743_168, 6, "whole"),
    _nmt(nmt.nmt_iwslt_encoder, 17_815_552, 6, "encoder"),
    _nmt(nmt.nmt_iwslt_first, 24_125_440, 6, "first"),
    _nmt(nmt.nmt_iwslt_step, 24_125_440, 6, "step"),
    _swin(swin.swin_micro, 86_194, depth=3, stages=2),
    _swin(swin.swin_tiny, 28_288_354, depth=12),
    _swin(swin.swin_small, 49_606_258, depth=24, measured=False),
    _bert(bert.bert_base, 108_891_648, depth=12),
    _vit(vit.vit_base, 86_567_656, depth=12),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}
"""By name, in the order in which tests and benchmarks take them: small before large."""

MEASURED = {name: recipe for name, recipe in RECIPES.items() if recipe.measured}
MICRO = {name: recipe for name, recipe in MEASURED.items() if recipe.micro}
LARGE = {name: recipe for name, recipe in MEASURED.items() if not recipe.micro}
