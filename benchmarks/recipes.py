"""The recipes that benchmarks measure, by name: those that build in seconds, and the others."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from models import bert, vit

MICRO: dict[str, Callable[..., nn.Module]] = {
    "vit_micro": vit.vit_micro,
    "bert_micro": bert.bert_micro,
}
LARGE: dict[str, Callable[..., nn.Module]] = {
    "vit_tiny": vit.vit_tiny,
    "vit_small": vit.vit_small,
    "bert_base": bert.bert_base,
    "vit_base": vit.vit_base,
}
ALL = MICRO | LARGE
