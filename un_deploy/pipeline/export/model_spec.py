"""From a model spec to a PyTorch module: built, its norms chosen, its checkpoint loaded."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from un_deploy import version
from un_deploy.errors import InputError, UnDeployError, first_line, needs
from un_deploy.pipeline.export.hugging_face import from_folder
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.export.timm_model import timm_model
from un_deploy.python_file import load_object, split_spec

if TYPE_CHECKING:
    from torch import nn

FORMS = "FILE.py:factory, package.module:factory, timm:NAME or a Hugging Face folder"
"""What names a model."""


def load_module(
    spec: str, *, norm: Norm | None = None, checkpoint: Path | None = None, untrained: bool = False
) -> nn.Module:
    """Build a module in eval mode; a spec's Python runs as code.

    Without a checkpoint the weights are what the factory draws from torch's seed 0, so the same
    spec gives the same module.

    Args:
        spec: ``FILE.py:factory``, ``package.module:factory``, ``timm:NAME[,num_classes=10,...]``
            or a Hugging Face folder, whose weights are loaded. The factory is called with
            ``norm_layer`` (if it takes that and ``norm`` is given) and nothing else; an
            `nn.Module` object in its place is copied. ``models/...`` that is not in the working
            directory is one of the recipes that come with un-deploy.
        norm: "ln", "un" or another of `norm_names.NORMS`; None: as the factory has it, or as the
            folder was saved. Where the factory takes no ``norm_layer``, its LayerNorms are swapped.
        checkpoint: see `un_deploy.nn.load_checkpoint`; one that `convert` wrote puts its norms
            where its record says, into the network with LayerNorms.
        untrained: accept Unified Normalizations whose statistics were never updated.

    Raises:
        InputError: no such spec, the factory fails or makes no module, the norms cannot be
            chosen, the checkpoint does not fit.
        UntrainedError: a Unified Normalization was never trained.
        MissingPackageError: torch, timm or transformers is not installed.
    """
    check_form(spec)
    with needs("torch"):
        import torch
    from un_deploy.conversion.converted_file import recorded_norms
    from un_deploy.nn import load_checkpoint, require_trained
    from un_deploy.nn.networks.pretrained import put_norms

    norms = recorded_norms(checkpoint) if checkpoint is not None and norm in (None, "un") else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = _build(spec, "ln" if norms and norm else norm)
    put_norms(module, norms, str(checkpoint))
    if checkpoint is not None:
        load_checkpoint(module, checkpoint, untrained=untrained)
    if not untrained:
        require_trained(module)
    return module.eval()


def check_form(spec: str) -> None:
    """Say what can be said of a spec before torch is imported.

    Raises:
        InputError: it is of no form that names a model.
    """
    if is_folder(spec):
        inside = {path.name for path in Path(spec).iterdir()}
        if not inside & {"config.json", "model_index.json"}:  # the latter is of diffusers
            raise InputError(f"{spec} holds no config.json, as a Hugging Face folder does")
    elif spec.endswith(".onnx"):
        raise InputError(f"{spec} is an ONNX file, and this takes a PyTorch model: give {FORMS}")
    elif ":" not in spec:
        raise InputError(f"{spec!r} is no model and no folder of one: give {FORMS}")


def is_folder(spec: str) -> bool:
    """Whether a spec is a folder, which holds its weights."""
    return Path(spec).is_dir()


def recipes_dir() -> Path:
    """Where the recipes, their checkpoints and their data lie: in the package, or its checkout.

    Raises:
        InputError: in neither.
    """
    package = Path(version.__file__).parent
    for folder in (package / "models", package.parent / "models"):
        if (folder / "vit.py").is_file():
            return folder
    raise InputError(f"the recipes (models/) are missing from this installation, {package}")


def _build(spec: str, norm: Norm | None) -> nn.Module:
    factory = _factory(spec, norm)
    takes_norm = _takes_norm_layer(factory)
    given = {"norm_layer": _norm_layer(norm)} if norm and takes_norm else {}
    if required := [name for name in _required(factory) if name not in given]:
        raise InputError(
            f"{spec} cannot be built: it requires {', '.join(required)}, and a factory is called "
            "with norm_layer at most: give defaults, or name a function that calls it"
        )
    try:
        module = factory(**given)
    except UnDeployError:
        raise
    except Exception as error:
        raise InputError(f"{spec} cannot be built: {first_line(error)}") from error
    from torch import nn

    if not isinstance(module, nn.Module):
        raise InputError(f"{spec} gives {type(module).__name__}, not a torch.nn.Module")
    if norm and not takes_norm:
        _swap_norms(module, spec, norm)
    return module


def _factory(spec: str, norm: Norm | None) -> Callable[..., Any]:
    from torch import nn

    if spec.startswith("timm:"):
        return partial(timm_model, spec.removeprefix("timm:"))
    if is_folder(spec):
        return partial(from_folder, Path(spec), converted=norm in (None, "un"))
    where, name = split_spec(spec)
    if where.startswith("models/") and not Path(where).exists():
        where = str(recipes_dir() / where.removeprefix("models/"))
    found = load_object(f"{where}:{name}")
    if isinstance(found, nn.Module):
        return partial(deepcopy, found)
    if not callable(found):
        raise InputError(f"{spec} is {type(found).__name__}, not a factory of modules")
    return found


def _takes_norm_layer(factory: Callable[..., Any]) -> bool:
    try:
        return "norm_layer" in inspect.signature(factory).parameters
    except ValueError:  # builtins have no signature
        return False


def _required(factory: Callable[..., Any]) -> list[str]:
    """The parameters that have no default."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # builtins have no signature
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one.name for one in parameters if one.default is one.empty and one.kind not in several]


def _norm_layer(norm: Norm) -> Callable[[int], nn.Module]:
    made: Callable[[int], nn.Module] = load_object(f"{recipes_dir() / 'norms.py'}:NORMS")[norm]
    return made


def _swap_norms(module: nn.Module, spec: str, norm: Norm) -> None:
    """Swap LayerNorms in place; what stays is warned of, a swap of nothing is refused."""
    from torch import nn

    from un_deploy.nn import UnifiedNorm, convert_norms

    has_un = any(isinstance(part, UnifiedNorm) for part in module.modules())
    if has_un and norm != "un":
        raise InputError(
            f"{spec} builds its Unified Normalizations itself; to have other norms, "
            "let the factory take norm_layer"
        )
    if norm == "ln" or has_un:
        return
    if not any(isinstance(part, nn.LayerNorm) for part in module.modules()):
        raise InputError(f"{spec} has no LayerNorm to swap")
    done = convert_norms(module, _norm_layer(norm))
    if not done.converted:
        name, reason = next(iter(done.left.items()))
        raise InputError(f"{spec} cannot have {norm}: the norm {name} stays: {reason}")
    for name, reason in done.left.items():
        warnings.warn(f"{spec}: the norm {name} stays: {reason}", stacklevel=2)
