"""MatMul and Einsum with a constant operand: absorb every gauge that reaches them.

With x = S x' + c and y = T y' + d, y = x W + b becomes y' = x' W' + b' where
W' = diag(S) W diag(1/T) and b' = (b + c W - d) / T. The constant may stand on either side and have
more axes, of a batch or of heads: then S and T may vary along these too.

Along an axis that the constant lacks, such as the channels where it mixes tokens, a scale passes:
S x' W = (S x') W. A shift along it becomes one of the bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge, varying
from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.equation import (
    Equation,
    Labels,
    placed,
    without_leading_ones,
)
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import absorbing
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into

Array = np.ndarray
_GUARD = "one operand is constant; along axes that it has not, a scale passes"


class MatMul(Rule):
    ops: ClassVar = {
        "MatMul": absorbing((7, 26), bias="behind", channels=-1, guard=_GUARD),
        # It may sum over places.
        "Einsum": replace(
            absorbing((12, 26), bias="behind", channels=-1, guard=_GUARD), uniform=False
        ),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        product = _Product.of(unit, known, view)
        passing = {
            port: product.passing(known[port], port == OUT)
            for port in (into(product.data), OUT)
            if port in known
        }
        if into(product.data) in known:
            product.terms(known[into(product.data)], view.shape(unit.input(product.data)))
        if len(passing) == 2:
            before, after = passing[into(product.data)], passing[OUT]
            if not product.moved(before, to_result=True).same(after):
                raise Refuse("what passes along the axes that its constant lacks differs")
            return
        for port, gauge in passing.items():
            if not gauge.is_identity:
                other = into(product.data) if port == OUT else OUT
                yield other, product.moved(gauge, to_result=other == OUT)

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        product = _Product.of(unit, known, view)
        node, index, labels = unit.node, product.weight, product.labels(product.weight)
        s = known[into(product.data)].aligned(len(product.labels(product.data)))
        t = known[OUT].aligned(len(product.equation.result))
        w = view.exact(unit.input(index))
        terms = product.terms(s, view.shape(unit.input(product.data)))
        held_s, held_t = product.held(s, of_result=False), product.held(t, of_result=True)
        if np.any(held_s != 1) or np.any(held_t != 1):
            factor = placed(held_s, product.labels(product.data), labels)
            yield SetConstant(
                node,
                index,
                w.scaled(factor, placed(held_t, product.equation.result, labels)),
                w.shape,
            )

        shifts = bool(np.any(s.shift != 0))
        own = product.sizes_of_shift(w.shape, s.shift) if shifts else ()
        full = np.broadcast_shapes(own, t.shift.shape, t.scale.shape)

        def shift() -> Array:
            return terms * product.summed(w, s.shift) if shifts else np.zeros((1,) * t.rank)

        if unit.bias is not None and (shifts or not t.is_identity):
            add, place = unit.bias
            value = add.inputs[place]
            assert value is not None
            b, old = view.constants.exact(value), view.sizes(value)
            new = without_leading_ones(np.broadcast_shapes(old, full), len(old))
            yield SetConstant(add, place, lambda: t.new_of(b() + shift()).reshape(new), new)
        elif shifts or np.any(t.shift != 0):
            least = product.equation.bias_shape(index, w.shape)
            new = without_leading_ones(np.broadcast_shapes(least, full), len(least))

            def gained() -> Array:
                bias = t.new_of(shift())
                return np.broadcast_to(bias.reshape(without_leading_ones(bias.shape)), new)

            yield AddBias(node, unit.operator, gained, new, index)

    def examples(self) -> Iterator[ir.Model]:
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) y = MatMul(n, w)",
            {"a": (4,), "b": (4,), "w": (4, 5)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) p = MatMul(n, w)  y = Add(c, p)",
            {"a": (4,), "b": (1, 1, 4), "w": (4, 5), "c": (5,)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) n = Mul(p, a) y = Add(n, b)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
        )
        rows = {"a": (4, 1), "b": (4, 1), "w": (3, 4)}
        yield example("(float[B,4,6] x) => (float[B,3,6] y)", "n = Norm(x) y = MatMul(w, n)", rows)
        yield example(
            "(float[B,4,6] x) => (float[B,3,6] y)",
            "p = MatMul(w, x) q = Add(p, c) n = Norm(q) y = Identity(n)",
            {**rows, "a": (3, 1), "b": (3, 1), "c": (3, 1)},
        )
        yield example(
            "(float[2,3,4] x) => (float[2,3,5] y)",
            "n = Norm(x) p = MatMul(n, w) y = Add(p, c)",
            {"a": (2, 1, 4), "b": (4,), "w": (2, 4, 5), "c": (5,)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3] y)",
            "n = Norm(x) y = MatMul(n, w)",
            {"a": (4,), "b": (4,), "w": (4,)},
        )
        yield example(
            "(float[B,4,6] x) => (float[B,3,5] y)",
            "n = Norm(x) p = MatMul(w, n) q = Add(p, c) y = MatMul(q, v)",
            {"a": (6,), "b": (6,), "w": (3, 4), "c": (3, 1), "v": (6, 5)},
        )
        yield example(
            "(float[B,6,4] x) => (float[B,3,5] y)",
            "n = Norm(x) p = MatMul(n, w) t = Transpose<perm=[0,2,1]>(p) y = MatMul(t, v)",
            {"a": (6, 1), "b": (6, 4), "w": (4, 3), "v": (6, 5)},
        )
        heads = {"a": (2, 3), "b": (2, 3), "w": (2, 3, 5)}
        yield example(
            "(float[B,6,2,3] x) => (float[B,6,5] y)",
            'n = Norm(x) y = Einsum<equation="bnhd,hdo->bno">(n, w)',
            heads,
        )
        yield example(
            "(float[B,6,4] x) => (float[B,2,3,6] y)",
            'p = Einsum<equation="hdc,bnc->bhdn">(w, x) q = Add(p, c) n = Norm(q) y = Identity(n)',
            {"a": (2, 3, 1), "b": (2, 3, 1), "w": (2, 3, 4), "c": (2, 3, 1)},
        )
        yield example(
            "(float[B,6,4] x) => (float[B,5] y)",
            'n = Norm(x) y = Einsum<equation="bic,ico->bo">(n, w)',
            {"a": (4,), "b": (4,), "w": (6, 4, 5)},
        )


@dataclass(frozen=True)
class _Product:
    """Which operand is which, and the names of their axes."""

    equation: Equation
    data: int
    sizes: tuple[int, ...]

    @staticmethod
    def of(unit: Unit, known: Known, view: GraphFacts) -> _Product:
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
        return _Product(equation, data, sizes)

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


RULE = MatMul()
