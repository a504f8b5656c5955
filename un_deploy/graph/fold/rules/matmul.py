"""MatMul and Einsum with a constant operand: absorb every gauge that reaches them.

With x = S x' + c and y = T y' + d, y = x W + b becomes y' = x' W' + b' where
W' = diag(S) W diag(1/T) and b' = (b + c W - d) / T. The constant may stand on either side and have
more axes, of a batch or of heads: then S and T may vary along these too.

Along an axis that the constant lacks, such as the channels where it mixes tokens, a scale passes:
S x' W = (S x') W. A shift along it becomes one of the bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.equation import placed, without_leading_ones
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import absorbing
from un_deploy.graph.fold.rules.product import Product
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
        product = Product.of(unit, known, view)
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
        product = Product.of(unit, known, view)
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


RULE = MatMul()
