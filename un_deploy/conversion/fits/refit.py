"""Fits the linear layers beside a converted norm anew, where held-out data says that it helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, Batches, Padding
from un_deploy.conversion.fits.linear_neighbours import readers, writer
from un_deploy.conversion.fits.ridge import LinearFit, apply, best_step
from un_deploy.conversion.norm_io import calls
from un_deploy.conversion.places import Places, mask

Lacking = dict[str, tuple[Tensor, Tensor]]
"""Of each layer its input in a batch, and what its output lacks, both (..., features)."""


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
    reading = readers(model, norm, first)

    def lacks_output(batch: Batch) -> Lacking:
        here, there = (calls(one, dict.fromkeys(reading, 1), batch) for one in (model, original))
        return {
            name: (here[name][0].given, there[name][0].answer - here[name][0].answer)
            for name in reading
        }

    changed = _refit(model, reading, lacks_output, data, heldout, padding)
    if behind is not None and places.runs[behind] == 1:
        writing = writer(model, behind, norm, first)
        if writing is not None:

            def lacks_stream(batch: Batch) -> Lacking:
                here = calls(model, {writing: 1, behind: 1}, batch)
                there = calls(original, {behind: 1}, batch)
                x, y = here[writing][0]
                lacks = there[behind][0].given - here[behind][0].given
                return {writing: (x, lacks.reshape(y.shape))}

            changed += _refit(model, [writing], lacks_stream, data, heldout, padding)
    return changed


def _refit(
    model: nn.Module,
    names: Sequence[str],
    lacking: Callable[[Batch], Lacking],
    data: Batches,
    heldout: Batches,
    padding: Padding | None,
) -> list[str]:
    """Refit layers that do not hear of each other, from one pass over the data."""
    layers = {
        name: layer for name in names if isinstance(layer := model.get_submodule(name), nn.Linear)
    }
    if not layers:
        return []
    seen, unseen = ({name: LinearFit(one) for name, one in layers.items()} for _ in range(2))
    for fits, source in ((seen, data), (unseen, heldout)):
        for batch in source:
            for name, (x, lacks) in lacking(batch).items():
                fits[name].add(*_rows(x, lacks, mask(padding, batch)))
    steps = {name: best_step(seen[name], unseen[name]) for name in layers}
    for name, step in steps.items():
        if step is not None:
            apply(layers[name], step)
    return [name for name, step in steps.items() if step is not None]


def _rows(x: Tensor, lacks: Tensor, padding: Tensor | None) -> Iterator[Tensor]:
    for tensor in (x, lacks):
        if padding is not None and padding.shape == x.shape[:-1]:
            yield tensor[~padding]
        else:
            yield tensor.reshape(-1, tensor.shape[-1])
