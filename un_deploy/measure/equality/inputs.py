"""The user's own inputs for a graph: an .npz file or a Python function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir

from un_deploy.arguments.check import shown
from un_deploy.errors import InputError, UnDeployError, first_line
from un_deploy.graph.model.input_specs import TensorSpec, input_specs
from un_deploy.measure.equality.random_inputs import random_inputs
from un_deploy.python_file import load_object

__all__ = ["check_inputs", "load_batches", "load_inputs", "random_inputs", "read_inputs"]


def read_inputs(source: str, model: onnx_ir.Model) -> list[dict[str, np.ndarray]]:
    """Inputs to run a graph on, checked against what it takes.

    Args:
        source: ``data.npz``, with one array for each input, by name; or ``loader.py:function``
            (``package.module:function``), which runs as code and returns such a mapping, or an
            iterable of them; its values are arrays, tensors or nested lists.
        model: fixes names, element types and shapes. A type is widened where nothing can be lost.

    Returns:
        one mapping for each run.

    Raises:
        InputError: the source cannot be read, or an input is missing, unknown, of a type that
            would lose values, or of another shape.
    """
    return check_inputs(load_inputs(source), model, source)


def load_inputs(source: str) -> list[Mapping[str, Any]]:
    """Inputs as they are given, for a network of which there is no graph yet; see `read_inputs`.

    Raises:
        InputError: the source cannot be read, or holds nothing.
    """
    batches = load_batches(source)
    for batch in batches:
        if not isinstance(batch, Mapping):
            raise InputError(
                f"{source} must give a dict of arrays by input name, or an iterable of such "
                f"dicts, not {type(batch).__name__}"
            )
    return batches


def load_batches(source: str) -> list[Any]:
    """What a source holds or gives, one entry a batch, whatever a batch is.

    A mapping, and one array or tensor, are one batch; whatever else can be gone through is several.

    Raises:
        InputError: the source cannot be read, or holds nothing.
    """
    batches = [_read_npz(Path(source))] if source.endswith(".npz") else _call(source)
    if not batches:
        raise InputError(f"{source} gave no inputs")
    return batches


def check_inputs(
    batches: Sequence[Mapping[str, Any]], model: onnx_ir.Model, source: str = "the inputs"
) -> list[dict[str, np.ndarray]]:
    """Inputs as the graph takes them, one mapping for each run; see `read_inputs`."""
    specs = input_specs(model)
    many = len(batches) > 1
    return [
        _checked(f"{source}, item {number}" if many else source, batch, specs)
        for number, batch in enumerate(batches)
    ]


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as archive:
            return dict(archive)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:  # a damaged archive raises anything from EOFError to zlib.error
        raise InputError(f"{path} is no .npz of plain arrays: {first_line(error)}") from error


def _call(source: str) -> list[Any]:
    found = load_object(source)
    try:
        given = found() if callable(found) else found
        return [given] if isinstance(given, Mapping) or not _iterable(given) else list(given)
    except UnDeployError:
        raise
    except Exception as error:
        raise InputError(f"{source} fails: {first_line(error)}") from error


def _iterable(value: object) -> bool:
    """Whether it holds batches; what numpy reads as one array is one batch itself."""
    return isinstance(value, Iterable) and not (
        isinstance(value, str) or hasattr(value, "__array__")
    )


def _checked(
    where: str, batch: Mapping[str, Any], specs: tuple[TensorSpec, ...]
) -> dict[str, np.ndarray]:
    takes = "; ".join(map(str, specs))
    names = [spec.name for spec in specs]
    for name in batch:
        if name not in names:
            raise InputError(f"{where}: the graph has no input {name!r}, it takes {takes}")
    for name in names:
        if name not in batch:
            raise InputError(f"{where}: the input {name!r} is missing, the graph takes {takes}")
    sizes: dict[str, int] = {}
    return {spec.name: _fitted(where, spec, batch[spec.name], sizes) for spec in specs}


def _fitted(where: str, spec: TensorSpec, value: Any, sizes: dict[str, int]) -> np.ndarray:
    """One input as the graph takes it; ``sizes`` collects the dynamic dimensions' sizes."""
    try:
        array = np.asarray(value)
    except Exception as error:
        raise InputError(f"{where}: input {spec.name} is no array: {first_line(error)}") from error
    if array.dtype == object:
        raise InputError(f"{where}: input {spec.name} is {shown(value)}: give an array")
    if not np.can_cast(array.dtype, spec.dtype, "safe"):
        raise InputError(
            f"{where}: input {spec.name} is {array.dtype}, the graph takes {spec.dtype}; "
            f"convert it with .astype({str(spec.dtype)!r})"
        )
    if spec.shape is not None and len(spec.shape) != array.ndim:
        raise InputError(f"{where}: input {spec.name} has shape {array.shape}, not {spec}")
    for axis, dim in enumerate(spec.shape or ()):
        size = array.shape[axis]
        wanted = sizes.setdefault(dim, size) if isinstance(dim, str) else dim
        if wanted not in (None, size):
            raise InputError(
                f"{where}: input {spec.name} has shape {array.shape}, axis {axis} "
                f"must be {wanted}" + (f" ({dim}) as before" if isinstance(dim, str) else "")
            )
    return np.ascontiguousarray(array, spec.dtype).reshape(array.shape)
