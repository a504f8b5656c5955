"""Gives a network's norms, and whatever else starts constant, the numbers of training."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from tests.support.networks.zoo.network import Inputs, Network
from un_deploy.nn import convert_norms

SEED = 2208


def built(network: Network, to: Literal["un", "none"]) -> tuple[nn.Module, Inputs]:
    """A network with converted norms, trained-like, in eval mode, and inputs for it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        inputs = network.inputs()
        module = network.make()
        convert_norms(module, to)
        draw(module)
    return module.eval(), inputs


def draw(module: nn.Module) -> None:
    """Draw every parameter that is all ones (or another number), or all zeros, and the moments.

    So are weights and biases of norms, factors of residual branches, and layers that start at
    zero, whose errors nobody would see. A single number, such as a temperature, stays.
    """
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() < 2 or bool((parameter != parameter.flatten()[0]).any()):
                continue
            if parameter.flatten()[0]:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
            elif name.endswith("running_mean"):
                buffer.normal_(0, 0.1)


def calls_of_norms(module: nn.Module, inputs: Inputs) -> list[str]:
    """The Unified Normalizations that a run of the network comes by, once each time.

    What never runs is in no graph; what runs twice is there twice.
    """
    from un_deploy.nn import UnifiedNorm
    from un_deploy.pipeline.export.forward import outputs_of

    called: list[str] = []
    hooks = [
        part.register_forward_hook(lambda *_, name=name: called.append(name))
        for name, part in module.named_modules()
        if isinstance(part, UnifiedNorm)
    ]
    outputs_of(module, inputs)
    for hook in hooks:
        hook.remove()
    return called
