"""The rounding error that a network has by itself, by which differences of another are judged.

Two ways, the second where the first is not to be had:

- the network in float64 (`un_deploy.runtime.in_double`), on the same inputs: the difference is the
  error itself;
- the network once more in the same runtime, its floating inputs and its matrices moved by one unit
  in the last place, up or down at random: how far that carries is what rounding does to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import is_real
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.measure.equality.outputs import relative_error
from un_deploy.runtime.in_double import InDouble
from un_deploy.runtime.protocol import Runtime, Session

Array = np.ndarray

#: A network whose weights take more bytes than this is not widened to float64.
_WIDENED_UP_TO = 500_000_000


class OwnError:
    """Of one network in one runtime."""

    def __init__(self, model: ir.Model, runtime: Runtime) -> None:
        self._model, self._runtime = model, runtime
        self._in_double: InDouble | None = None
        self._moved: Session | None = None
        if _weight_bytes(model) <= _WIDENED_UP_TO and not _computes_in_double(model):
            self._in_double = InDouble(model, strict=True)

    def of(
        self, feeds: Feeds, found: Mapping[str, Array], fetch: Sequence[str]
    ) -> dict[str, float]:
        """The error of each tensor in `found`, which the runtime computed for these inputs."""
        wanted = self._exact(feeds, fetch)
        if wanted is None:
            wanted = self._of_moved(feeds, fetch)
        return {name: relative_error(wanted[name], found[name]) for name in wanted}

    def _exact(self, feeds: Feeds, fetch: Sequence[str]) -> dict[str, Array] | None:
        if self._in_double is None:
            return None
        try:
            return self._in_double.run(feeds, fetch)
        except InputError:
            self._in_double = None
            return None

    def _of_moved(self, feeds: Feeds, fetch: Sequence[str]) -> dict[str, Array]:
        """Nothing where the runtime refuses what was moved: then no error is known of."""
        try:
            if self._moved is None:
                self._moved = self._runtime.load(_moved_model(self._model))
            rng = np.random.default_rng(0)
            moved = {name: _moved(array, rng) for name, array in feeds.items()}
            return self._moved.run(moved, fetch)
        except InputError:
            return {}


def _moved_model(model: ir.Model) -> ir.Model:
    """A copy with its matrices moved; what has one axis may be a size, an exponent or a limit."""
    model = model.clone()
    for seed, value in enumerate(model.graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or len(tensor.shape) < 2 or not tensor.dtype.is_floating_point():
            continue
        value.const_value = _moved_tensor(tensor, seed)
    return model


def _moved_tensor(tensor: ir.TensorProtocol, seed: int) -> ir.LazyTensor:
    """Moved when it is read."""
    return ir.LazyTensor(
        lambda: ir.Tensor(_moved(tensor.numpy(), np.random.default_rng(seed)), tensor.dtype),
        tensor.dtype,
        ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )


def _moved(array: Array, rng: np.random.Generator) -> Array:
    """Each finite entry of a floating array one unit in the last place larger or smaller."""
    if not is_real(array):
        return array
    up = rng.integers(0, 2, array.shape).astype(bool)
    limit = np.where(up, np.array(np.inf, array.dtype), np.array(-np.inf, array.dtype))
    with np.errstate(over="ignore"):
        moved = np.nextafter(array, limit.astype(array.dtype))
    return np.where(np.isfinite(array) & np.isfinite(moved) & (array != 0), moved, array)


def _computes_in_double(model: ir.Model) -> bool:
    """Then float64 rounds as the network itself does, and shows nothing."""
    values = [*model.graph.outputs, *model.graph.initializers.values()]
    return any(value.dtype == ir.DataType.DOUBLE for value in values)


def _weight_bytes(model: ir.Model) -> int:
    tensors = (v.const_value for g in model.graphs() for v in g.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
