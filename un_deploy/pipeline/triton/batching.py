"""Whether Triton may put requests together into one batch, and how large it may be."""

from __future__ import annotations

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.pipeline.triton.served_model import ServedModel


def choose_max_batch_size(model: ServedModel, asked: int | None) -> tuple[int, tuple[str, ...]]:
    """Triton's max_batch_size, from what the user asked for (see `Serving`), and notes on it.

    Triton makes batches along the first dimension, which has to be the same dynamic one for every
    input and output.

    Raises:
        InputError: the model cannot be batched, or not so far; or nothing tells how far.
    """
    reason = why_not_batched(model)
    if reason:
        if asked:
            raise InputError(
                f"{model.source} cannot be served in batches, since {reason}: export it with a "
                f"dynamic batch, or give {argument('max_batch_size', 0)}"
            )
        return 0, (f"Triton makes no batches of requests: {reason}",)
    if asked == 0:
        return 0, ("Triton makes no batches of requests: clients send the batch dimension",)
    if model.kind == "onnx":
        if asked is None:
            raise InputError(
                f"{model.source} has a dynamic batch: say with {argument('max_batch_size')} how "
                f"many rows Triton may put into one, or 0 to have none made"
            )
        return asked, ()
    return _of_profiles(model, asked)


def why_not_batched(model: ServedModel) -> str:
    """Empty where every input and output has the same dynamic first dimension.

    A dimension without a name, as all of a plan's are, is taken for the same, as Triton does. One
    that the operators do not give is none: joined requests could not be told apart in it.
    """
    batch: tuple[str, str] | None = None
    for tensor in model.tensors:
        first = tensor.shape[0]
        if isinstance(first, int):
            return f"the first dimension of {tensor.name} is always {first}"
        if tensor.rows_unknown:
            return f"the operators do not give the first dimension of {tensor.name}"
        if first is None:
            continue
        if batch and batch[1] != first:
            return (
                f"the first dimension of {batch[0]} is {batch[1]}, and that of {tensor.name} is "
                f"{first}"
            )
        batch = batch or (tensor.name, first)
    return ""


def _of_profiles(model: ServedModel, asked: int | None) -> tuple[int, tuple[str, ...]]:
    """As Triton counts: a profile takes what its narrowest input takes."""
    bounds = []
    for profile in model.profiles:
        ranges = [profile[tensor.name] for tensor in model.inputs]
        bounds.append((max(r.min[0] for r in ranges), min(r.max[0] for r in ranges)))
    smallest, largest = min(low for low, _ in bounds), max(high for _, high in bounds)
    size = largest if asked is None else asked
    if size > largest:
        raise InputError(
            f"the profiles of {model.source} take at most {largest} rows, not {size}: build it for "
            f"more, or give {argument('max_batch_size', largest)}"
        )
    if size < smallest:
        raise InputError(
            f"the profiles of {model.source} take at least {smallest} rows, so "
            f"{argument('max_batch_size')} cannot be {size}"
        )
    if smallest > 1:
        return size, (
            f"the plan's profiles take at least {smallest} rows: smaller requests that Triton "
            f"cannot join with others fail",
        )
    return size, ()
