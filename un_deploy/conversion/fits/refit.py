"""Fits the linear layers beside a converted norm anew, where held-out data says that it helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, Batches, Padding, run
from un_deploy.conversion.fits.linear_neighbours import readers, writer
from un_deploy.conversion.fits.ridge import LinearFit, apply, best_step
from un_deploy.conversion.norm_io import calls
from un_deploy.conversion.places import Places, mask

Lacking = Callable[[Batch], tuple[Tensor, Tensor]]
"""From a batch to a layer's input and what its output lacks, both (..., features)."""


def refit_neighbours(
    model: nn.Module,
    original: nn.Module,
    norm: str,
    places: Places,
    data: Batches,
    heldout: Batches,
    padding: Padding | None,
) -> list[str]:
    """Refit the layers that read the norm, then the one that writes into the norm behind it.

    The readers are brought to the original's output of the same layer; the writer to what the
    original has in front of the next norm, so that what drifted in the stream is mended there.

    Args:
        model, original: in evaluation mode.
        norm: just converted; it runs once in a forward.
        places: of the model.
        data, heldout: the fits see the first, and are kept by the second.
        padding: from a batch to its mask.

    Returns:
        The names of the layers that were changed.
    """
    if places.runs[norm] != 1:
        return []
    first = next(iter(data))
    order = list(places.runs)
    behind = next(iter(order[order.index(norm) + 1 :]), None)
    changed: list[str] = []
    for name in readers(model, norm, first):

        def lacks_output(batch: Batch, name: str = name) -> tuple[Tensor, Tensor]:
            x, y = _io(model, name, batch)
            return x, _io(original, name, batch)[1] - y

        changed += _refit(model, name, lacks_output, data, heldout, padding)
    if behind is not None and places.runs[behind] == 1:
        writing = writer(model, behind, norm, first)
        if writing is not None:

            def lacks_stream(batch: Batch) -> tuple[Tensor, Tensor]:
                x, y = _io(model, writing, batch)
                here = calls(model, behind, batch, 1)[0].given
                there = calls(original, behind, batch, 1)[0].given
                return x, (there - here).reshape(y.shape)

            changed += _refit(model, writing, lacks_stream, data, heldout, padding)
    return changed


def _refit(
    model: nn.Module,
    name: str,
    lacking: Lacking,
    data: Batches,
    heldout: Batches,
    padding: Padding | None,
) -> list[str]:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    seen, unseen = LinearFit(layer), LinearFit(layer)
    for fit, source in ((seen, data), (unseen, heldout)):
        for batch in source:
            fit.add(*_rows(*lacking(batch), mask(padding, batch)))
    step = best_step(seen, unseen)
    if step is None:
        return []
    apply(layer, step)
    return [name]


def _rows(x: Tensor, lacks: Tensor, padding: Tensor | None) -> Iterator[Tensor]:
    for tensor in (x, lacks):
        if padding is not None and padding.shape == x.shape[:-1]:
            yield tensor[~padding]
        else:
            yield tensor.reshape(-1, tensor.shape[-1])


def _io(model: nn.Module, name: str, batch: Batch) -> tuple[Tensor, Tensor]:
    """The input and the output of a linear layer in a forward; of its first run."""
    seen: list[tuple[Any, Tensor]] = []
    layer = model.get_submodule(name)
    hook = layer.register_forward_hook(lambda module, args, answer: seen.append((args[0], answer)))
    try:
        run(model, batch)
    finally:
        hook.remove()
    return seen[0]
