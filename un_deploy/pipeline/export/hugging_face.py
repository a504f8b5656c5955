"""The model of a Hugging Face folder, with example inputs that its configuration describes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from un_deploy.errors import InputError
from un_deploy.pipeline.export.quiet import quiet
from un_deploy.runtime.torchvision import why_not

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

TOKENS = 8
"""The length of an example sequence."""


def from_folder(folder: Path, *, converted: bool = True) -> nn.Module:
    """The model; see `un_deploy.nn.load_pretrained`, whose errors it raises."""
    from un_deploy.nn import load_pretrained

    try:
        with quiet():
            module: Any = load_pretrained(folder, converted=converted)
    except InputError as error:
        if problem := why_not():  # transformers imports torchvision where that is installed
            raise InputError(problem) from error
        raise
    if examples := _examples(module):
        module.example_inputs = examples
    found: nn.Module = module
    return found


def _examples(module: Any) -> Callable[..., dict[str, Tensor]] | None:
    """Random tokens and pictures, as the model takes them; None for other kinds of inputs."""
    import torch

    config, takes = module.config, inspect.signature(module.forward).parameters
    makers = {name: make for name, make in _makers(config, module.main_input_name) if name in takes}
    if module.main_input_name not in makers:
        return None

    def example_inputs(batch: int = 2) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        return {name: make(batch, generator) for name, make in makers.items()}

    return example_inputs


def _makers(
    config: Any, main: str
) -> Iterator[tuple[str, Callable[[int, torch.Generator], Tensor]]]:
    import torch

    pictures, text = getattr(config, "vision_config", config), config.get_text_config()
    size = getattr(pictures, "image_size", None)
    words = getattr(text, "vocab_size", None)
    if words and (main == "input_ids" or hasattr(config, "text_config")):

        def tokens(batch: int, generator: torch.Generator) -> Tensor:
            return torch.randint(words, (batch, TOKENS), generator=generator)

        yield "input_ids", tokens
        yield "attention_mask", lambda batch, _: torch.ones(batch, TOKENS, dtype=torch.int64)
        if config.is_encoder_decoder:
            yield "decoder_input_ids", tokens
    if size and (main == "pixel_values" or hasattr(config, "vision_config")):
        height, width = (size, size) if isinstance(size, int) else size
        shape = getattr(pictures, "num_channels", 3), height, width
        yield (
            "pixel_values",
            lambda batch, generator: torch.randn(batch, *shape, generator=generator),
        )
