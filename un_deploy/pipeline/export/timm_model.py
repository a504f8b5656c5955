"""timm:NAME, or timm:NAME,num_classes=10,...: a timm model without pretrained weights."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from un_deploy.errors import InputError, MissingPackageError, first_line
from un_deploy.install import how_to_install
from un_deploy.runtime.torchvision import why_not

if TYPE_CHECKING:
    from torch import Tensor, nn


def timm_model(spec: str) -> nn.Module:
    """A model of timm, with example inputs of the size that it is for.

    Args:
        spec: what follows ``timm:``, the name and arguments of ``timm.create_model``; a word
            without quotes is a string.

    Raises:
        InputError: the arguments cannot be read, or timm cannot be imported.
        MissingPackageError: timm is not installed.
    """
    name, _, written = spec.partition(",")
    arguments = _arguments(written, spec)
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"timm:{name} needs the package {error.name}, which is not installed: "
            f"{how_to_install('timm')}"
        ) from error
    except Exception as error:
        raise InputError(f"timm cannot be imported: {why_not() or first_line(error)}") from error
    module: nn.Module = timm.create_model(name, **arguments)
    module.example_inputs = _examples(module, arguments)
    return module


def _arguments(written: str, spec: str) -> dict[str, Any]:
    """``"num_classes=10,global_pool=avg"`` as keyword arguments."""
    try:
        call = ast.parse(f"_({written})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or not all(one.arg for one in call.keywords):
            raise ValueError("an argument has no name")
        return {str(one.arg): _value(one.value) for one in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise InputError(
            f"timm:{spec}: {first_line(error)}; write timm:NAME,num_classes=10,img_size=64"
        ) from error


def _value(node: ast.expr) -> Any:
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _examples(module: nn.Module, arguments: dict[str, Any]) -> Any:
    (argument, *_) = inspect.signature(module.forward).parameters
    channels, *size = module.default_cfg["input_size"]  # type: ignore[index]
    asked = arguments.get("img_size", size)
    shape = (
        arguments.get("in_chans", channels),
        *((asked, asked) if isinstance(asked, int) else asked),
    )

    def example_inputs(batch: int = 2) -> dict[str, Tensor]:
        import torch

        generator = torch.Generator().manual_seed(0)
        return {argument: torch.randn(batch, *shape, generator=generator)}

    return example_inputs
