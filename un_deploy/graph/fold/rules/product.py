"""A product with one constant operand: which axis is whose, and along which a scale passes.

The constant takes in what varies along its own axes. Along an axis of the data that it lacks and
that the result has, a scale passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from un_deploy.graph.analysis.affine_map import Affine, Gauge, varying
from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.equation import Equation, Labels, placed
from un_deploy.graph.fold.rules.protocol import Known, Refuse, Unit, into

Array = np.ndarray


@dataclass(frozen=True)
class Product:
    """Which operand is which, and the names of their axes."""

    equation: Equation
    data: int
    sizes: tuple[int, ...]

    @staticmethod
    def of(unit: Unit, known: Known, view: GraphFacts) -> Product:
        constant = [i for i, v in enumerate(unit.node.inputs) if v in view.constants]
        if len(unit.node.inputs) != 2 or len(constant) != 1:
            raise Refuse("it is no product of a computed and a constant operand")
        (weight,) = constant
        data, sizes = 1 - weight, view.sizes(unit.input(weight))
        shape = view.shape(unit.input(data))
        if shape is not None:
            rank = len(shape)
        elif into(data) in known:
            rank = known[into(data)].rank
        else:
            raise Refuse(f"the shape of {unit.input(data).name!r} is unknown")
        ranks = (len(sizes), rank) if data else (rank, len(sizes))
        equation = Equation.of(unit.node, ranks)
        if equation is None:
            raise Refuse("an axis occurs in it in another way than once an operand")
        if unit.node.op_type == "Einsum" and shape is not None:
            mine = dict(zip(equation.operands[data], shape, strict=True))
            named = zip(equation.operands[weight], sizes, strict=True)
            if any(label in mine and not same_dim(mine[label], size) for label, size in named):
                raise Refuse("an axis is not known to have one size in both operands")
        return Product(equation, data, sizes)

    @property
    def weight(self) -> int:
        return 1 - self.data

    def labels(self, index: int) -> Labels:
        return self.equation.operands[index]

    def passing(self, gauge: Gauge, of_result: bool) -> Gauge:
        """The part of a scale that varies along axes that the constant lacks, 1 at their start.

        Raises:
            Refuse: such an axis is summed, or the rest of the scale differs along it.
        """
        labels = self.equation.result if of_result else self.labels(self.data)
        gauge, held = gauge.aligned(len(labels)), self.equation.held(self.weight, self.sizes)
        strange = [axis for axis in gauge.varies if labels[axis] not in held]
        if summed := [axis for axis in strange if not self._goes_through(labels[axis])]:
            raise Refuse(f"it sums over axis {min(summed)}, along which the scale or shift varies")
        strange = [axis for axis in strange if gauge.scale.shape[axis] > 1]
        if not strange:
            return Affine.identity(len(labels))
        if not np.all(np.isfinite(gauge.scale) & (gauge.scale != 0)):
            raise Refuse(f"a scale of 0 varies along axis {min(strange)}, which its constant lacks")
        rest = _first(gauge.scale, strange)
        alone = _first(gauge.scale, set(range(len(labels))) - set(strange)) / rest.ravel()[0]
        if not np.allclose(alone * rest, gauge.scale, rtol=1e-12, atol=0):
            raise Refuse(f"the scale varies along axis {min(strange)} and along the channels")
        return Affine(alone, np.zeros((1,) * len(labels)))

    def held(self, gauge: Gauge, of_result: bool) -> Array:
        """The scale's other part, which the constant takes in."""
        labels = self.equation.result if of_result else self.labels(self.data)
        passing = self.passing(gauge, of_result).scale
        return _first(gauge.aligned(len(labels)).scale, varying(passing))

    def _goes_through(self, label: str) -> bool:
        """Whether an axis of the data is one of the result."""
        return label in self.equation.result and label in self.labels(self.data)

    def moved(self, passing: Gauge, *, to_result: bool) -> Gauge:
        """What passes, as seen on the other side."""
        ends = self.labels(self.data), self.equation.result
        source, target = ends if to_result else ends[::-1]
        return passing.each(lambda array: placed(array, source, target))

    def sizes_of_shift(self, weight: tuple[int, ...], shift: Array) -> tuple[int, ...]:
        """The shape of what a shift of the data becomes in the result."""
        labels, held = self.labels(self.data), self.equation.held(self.weight, self.sizes)
        own = dict(zip(labels, shift.shape, strict=True))
        sizes = self.equation.sizes_in_result(self.weight, weight)
        return tuple(
            size if label in held else own.get(label, 1)
            for label, size in zip(self.equation.result, sizes, strict=True)
        )

    def terms(self, gauge: Gauge, shape: tuple[object, ...] | None) -> int:
        """How often a shift is added up along axes that the constant has not.

        Raises:
            Refuse: one of them has an unknown size.
        """
        held = self.equation.held(self.weight, self.sizes)
        labels = self.labels(self.data)
        alone = [
            axis
            for axis, label in enumerate(labels)
            if label not in held and label not in self.equation.result
        ]
        if not np.any(gauge.shift != 0) or not alone:
            return 1
        sizes = [None if shape is None else shape[axis] for axis in alone]
        if not all(isinstance(size, int) for size in sizes):
            raise Refuse("it sums a shift as often as an axis of unknown size has entries")
        return math.prod(size for size in sizes if isinstance(size, int))

    def summed(self, w: Exact, shift: Array) -> Array:
        """The constant's product with a shift of the data, over the result's axes."""
        labels, result = self.labels(self.weight), self.equation.result
        held = self.equation.held(self.weight, self.sizes)
        data = self.labels(self.data)
        if any(n > 1 and x not in held for n, x in zip(shift.shape, data, strict=True)):
            places = {label: place for place, label in enumerate((*data, *labels))}
            axes = [[places[label] for label in some] for some in (data, labels, result)]
            return np.asarray(np.einsum(shift, axes[0], w(), axes[1], axes[2]))
        vector = placed(shift, data, labels)
        if len(labels) == 2 and len(set(labels) & set(result)) == 1 and vector.size > 1:
            inner = 0 if labels[0] not in result else 1
            if vector.shape[1 - inner] == 1:
                row = np.broadcast_to(vector.ravel(), w.shape[inner])
                product = w.times(row, transposed=inner == 1)
                return placed(product, (labels[1 - inner],), result)
        gone = tuple(axis for axis, label in enumerate(labels) if label not in result)
        left = tuple(label for label in labels if label in result)
        return placed(np.sum(w() * vector, axis=gone), left, result)


def _first(array: Array, axes: Iterable[int]) -> Array:
    """The first entries along these axes."""
    for axis in axes:
        array = array.take([0], axis)
    return array
