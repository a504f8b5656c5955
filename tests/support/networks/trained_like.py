"""Networks that look trained, for tests of the fold: no norm is left at its initial state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from models.norms import NORMS
from tests.support.networks.kept import kept
from tests.support.released_norm import ReleasedStyleNorm
from un_deploy.nn import UnifiedNorm

NORM_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "un": UnifiedNorm,
    "released": ReleasedStyleNorm,
    "ln": nn.LayerNorm,
    "none": lambda dim: nn.Identity(),
}
BASELINES = {kind: NORMS[kind] for kind in ("rms", "bn", "dyt", "derf")}
FORWARDS = 20  # running_var has forgotten all but 0.9 ** 20 = 12 % of its initial 1
BATCH = 4


def norms(model: nn.Module) -> Iterator[nn.Module]:
    """All norms with a weight: LayerNorm, and whatever keeps a running_var."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm) or hasattr(module, "running_var"):
            yield module


def trained_like(model: nn.Module, seed: int, *, forwards: int = FORWARDS) -> nn.Module:
    """Give a freshly initialised network the state of a trained one; returns it in eval mode.

    Norm weights are uniform in [0.5, 1.5], biases normal with standard deviation 0.2, in the
    order of ``model.modules()``; then running_var is learned from forwards in training mode on
    the model's example inputs. All other weights stay.

    Args:
        model: a recipe network (it has ``example_inputs``), changed in place. Its norms are
            LayerNorm, UnifiedNorm or none; one without a training rule keeps its running_var.
        seed: of the weights and biases.
        forwards: in training mode.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = model.example_inputs(BATCH)
    with torch.no_grad():
        for norm in norms(model):
            norm.weight.uniform_(0.5, 1.5, generator=generator)
            norm.bias.normal_(0, 0.2, generator=generator)
        model.train()
        for _ in range(forwards):
            model(**inputs)
    return model.eval()


def draw_norms(model: nn.Module) -> nn.Module:
    """Draw running_var, weight and bias of each UnifiedNorm; returns the model in eval mode.

    From the global generator: seed it first.
    """
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, UnifiedNorm):
                norm.running_var.uniform_(0.5, 2)
                if norm.weight is not None:
                    norm.weight.uniform_(0.5, 1.5)
                if norm.bias is not None:
                    norm.bias.normal_(0, 0.2)
    return model.eval()


def name_of(factory: Callable[..., nn.Module]) -> str:
    """A factory's name, with the arguments of a partial: names a network in files and test ids."""
    if isinstance(factory, partial):
        given = "".join(f"-{key}{value}" for key, value in sorted(factory.keywords.items()))
        return f"{factory.func.__name__}{given}"
    return factory.__name__


def initialised(factory: Callable[..., nn.Module], kind: str, seed: int) -> nn.Module:
    """A network in PyTorch's initialisation under a seed; the global generator stays untouched.

    A bias that fp16 does not hold is 0: its conversion is refused, and of ten thousand there may be
    one.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = factory(norm_layer=(NORM_LAYERS | BASELINES)[kind])
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter[parameter.abs() < 2**-25] = 0
    return model


def variant(
    factory: Callable[..., nn.Module], kind: str, seed: int = 0, *, forwards: int = FORWARDS
) -> nn.Module:
    """One network, trained-like, in eval mode, with one kind of norm.

    All kinds of one factory and seed share every weight outside the norms; "un", "released" and
    "ln" share the norms' weight and bias, "un" and "released" also running_var.

    Args:
        factory: takes ``norm_layer``, for example ``models.vit.vit_micro``.
        kind: a key of ``NORM_LAYERS``, or of ``BASELINES``, which take of the shared weights what
            they have by the same name: BN a weight, a bias and running_var, the others the former.
        seed: of the initialisation and of the norms.
        forwards: see `trained_like`.
    """
    model = initialised(factory, kind, seed)
    if kind == "none":  # training changes norms alone
        return model.eval()
    trained = kept(
        f"{name_of(factory)}-{seed}-{forwards}.pt",
        lambda: trained_like(
            initialised(factory, "un", seed), seed, forwards=forwards
        ).state_dict(),
        torch.save,
        _load,
    )
    shared = {key: value for key, value in trained.items() if key in model.state_dict()}
    left = model.load_state_dict(shared, strict=False).missing_keys
    if any(key.endswith(("weight", "bias", "running_var")) for key in left):
        raise AssertionError(f"{kind} has weights that UnifiedNorm's network lacks: {left}")
    return model.eval()


def _load(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def variants(factory: Callable[..., nn.Module], seed: int = 0) -> dict[str, nn.Module]:
    """All kinds of one network: {"un": ..., "released": ..., "ln": ..., "none": ...}."""
    return {kind: variant(factory, kind, seed) for kind in NORM_LAYERS}
