"""What a network of the zoo is."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Inputs = dict[str, Tensor]
Axes = Mapping[str, Mapping[int, str]]
BATCH, LENGTH, WORDS = 2, 9, 60

#: How large networks are, as most configurations of transformers call it; those of text as well.
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
SMALL_TEXT = {**SMALL, "vocab_size": WORDS, "max_position_embeddings": 40}


@dataclass(frozen=True)
class Network:
    """A network, from its configuration.

    Attributes:
        name: as the table has it.
        library: the package that builds it.
        make: builds it, with the library's own initialisation.
        inputs: an example of them, by name.
        axes: what a dynamic export leaves open, as torch.onnx has it.
    """

    name: str
    library: str
    make: Callable[[], nn.Module]
    inputs: Callable[[], Inputs]
    axes: Axes


def of_transformers(
    name: str,
    family: str,
    head: str,
    inputs: Callable[[], Inputs],
    *,
    axes: Axes | None = None,
    **config: Any,
) -> Network:
    """A network of transformers: ``BertModel`` has the family Bert and the head Model."""

    def make() -> nn.Module:
        library = importlib.import_module("transformers")
        settings = getattr(library, f"{family}Config")(**config)
        made: nn.Module = getattr(library, f"{family}{head}")(settings)
        return made

    return Network(name, "transformers", make, inputs, axes or axes_of(inputs))


def axes_of(inputs: Callable[[], Inputs]) -> dict[str, dict[int, str]]:
    """The batch, and of text the length."""
    found: dict[str, dict[int, str]] = {}
    for name, tensor in inputs().items():
        found[name] = {0: "batch"}
        if tensor.ndim == 2 and name in _TEXT:
            found[name][1] = _TEXT[name]
    return found


_TEXT = {
    "input_ids": "length",
    "attention_mask": "length",
    "token_type_ids": "length",
    "decoder_input_ids": "target_length",
}


def text() -> Inputs:
    """Words, and a mask that hides the end of one sentence."""
    mask = torch.ones(BATCH, LENGTH, dtype=torch.long)
    mask[1, -3:] = 0
    return {"input_ids": words(), "attention_mask": mask}


def words(length: int = LENGTH) -> Tensor:
    """Drawn from the vocabulary, without its first words, which mean other things."""
    return torch.randint(5, WORDS, (BATCH, length))


def image(size: int) -> Callable[[], Inputs]:
    """Drawn pixels, as transformers call them."""
    return lambda: {"pixel_values": torch.randn(BATCH, 3, size, size)}
