"""Transpose, Reshape and all that moves elements and changes none: a gauge moves with them.

Transpose permutes its axes. Reshape, Flatten, Squeeze and Unsqueeze regroup them: the gauge may
vary over an axis whose group has known sizes. Expand repeats along axes on which the gauge must
not vary. Identity, an inference Dropout and a Cast between floating types leave it as it is; one to
a narrower type rounds other numbers, so what moves in front of it has to be of their size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.dims import Shape, reshape_groups, same_dim
from un_deploy.graph.analysis.floating import is_floating, keeps_all
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import of_the_data
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import (
    OUT,
    Demands,
    Known,
    Refuse,
    Rule,
    Unit,
    into,
)

_REARRANGING = Operator(
    "layout",
    (7, 26),
    moves=True,
    rearranges=True,
    guard="not along an axis that is mixed with one of unknown size",
)


#: What moves past a Cast to a narrower type scales by no more than this, nor by less than its
#: inverse, and shifts by no more than that: a norm gives numbers of about 1, and beside a larger
#: shift too few bits would be left of them.
_WIDEST, _LARGEST_SHIFT = 256.0, 8.0


class Layout(Rule):
    ops: ClassVar = {
        "Transpose": replace(_REARRANGING, uniform=True, guard="none"),
        "Reshape": _REARRANGING,
        "Flatten": _REARRANGING,
        "Squeeze": _REARRANGING,
        "Unsqueeze": _REARRANGING,
        "Identity": replace(_REARRANGING, uniform=True, guard="none"),
        "Expand": Operator("layout", (8, 26), moves=True, guard="alike along what is repeated"),
        "Dropout": Operator("other", (7, 26), uniform=True, guard="at inference"),
        "Cast": Operator(
            "layout",
            (7, 26),
            uniform=True,
            guard="between floating types; to a narrower one if not far from 1",
        ),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        forward, gauge = into(0) in known, of_the_data(known)
        return [(OUT if forward else into(0), self._moved(unit, gauge, forward, view))]

    def _moved(self, unit: Unit, gauge: Gauge, forward: bool, view: GraphFacts) -> Gauge:
        node = unit.node
        if node.op_type == "Transpose":
            return _transposed(node, gauge, forward)
        if node.op_type == "Dropout":
            _check_inference(node, view)
        if node.op_type == "Cast":
            _check_cast(unit, gauge, view)
        if node.op_type in ("Identity", "Dropout", "Cast"):
            return gauge
        ends = unit.input(0), node.outputs[0]
        source, target = ends if forward else ends[::-1]
        before, after = view.shape(source), view.shape(target)
        if before is None or after is None:
            lost = source if before is None else target
            raise Refuse(f"the shape of {lost.name!r} is unknown")
        if node.op_type == "Expand":
            return _expanded(gauge, before, after)
        groups = reshape_groups(before, after)
        moved = None if groups is None else gauge.reshape(groups, before, after)
        moved = None if moved is None else moved.each(narrowed)
        if moved is None:
            raise Refuse("it mixes an axis along which the scale varies with one of unknown size")
        return moved

    def examples(self) -> Iterator[ir.Model]:
        per_channel = {"a": (6,), "b": (6,), "w": (6, 5)}
        yield example(
            "(float[B,6,3] x) => (float[B,3,5] y)",
            "n = Norm(x) t = Transpose<perm=[0,2,1]>(n) y = MatMul(t, w)",
            {**per_channel, "a": (6, 1), "b": (6, 1)},
        )
        for op, target in (("Reshape(n, s)", [-1, 6]), ("Reshape(n, s)", [0, 1, 3, 6])):
            rank = len(target)
            shape = "B,5" if rank == 2 else "B,1,3,5"
            yield example(
                f"(float[2,3,6] x) => (float[{shape}] y)",
                f"n = Norm(x) t = {op} y = MatMul(t, w)",
                per_channel,
                integers={"s": target},
            )
        yield example(
            "(float[B,3,6] x) => (float[B,3,5] y)",
            "n = Norm(x) h = Reshape(n, split) t = Transpose<perm=[0,2,1,3]>(h)"
            " u = Transpose<perm=[0,2,1,3]>(t) m = Reshape(u, merge) y = MatMul(m, w)",
            per_channel,
            integers={"split": [0, 0, 3, 2], "merge": [0, 3, -1]},
        )
        yield example(
            "(float[B,3,6] x) => (float[B,3,5] y)",
            "n = Norm(x) u = Unsqueeze(n, i) t = Squeeze(u, i) y = MatMul(t, w)",
            per_channel,
            integers={"i": [1]},
        )
        yield example(
            "(float[B,6] x) => (float[B,5] y)",
            "n = Norm(x) t = Flatten(n) y = MatMul(t, w)",
            per_channel,
        )
        yield example(
            "(float[1,3,6] x) => (float[4,3,5] y)",
            "n = Norm(x) t = Expand(n, s) y = MatMul(t, w)",
            per_channel,
            integers={"s": [4, 1, 1]},
        )
        yield example(
            "(float[B,3,6] x) => (double[B,3,5] y)",
            "p = MatMul(x, w) n = Mul(p, a) i = Identity(n) c = Dropout(i) y = Cast<to=11>(c)",
            {"a": (5,), "w": (6, 5)},
        )


def narrowed(array: np.ndarray) -> np.ndarray:
    """With size 1 along the axes on which it is alike: what was merged may be split again."""
    for axis, size in enumerate(array.shape):
        first = np.take(array, [0], axis) if size > 1 else array
        if size > 1 and np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first
    return array


def _transposed(node: ir.Node, gauge: Gauge, forward: bool) -> Gauge:
    perm = list(node.attributes.get_ints("perm", range(gauge.rank)[::-1]))
    order = perm if forward else list(np.argsort(perm))
    return gauge.each(lambda a: a.transpose(order))


def _expanded(gauge: Gauge, before: Shape, after: Shape) -> Gauge:
    for axis in gauge.varies:
        back = gauge.rank - axis
        if back > len(after) or not same_dim(before[-back], after[-back]):
            raise Refuse("it repeats along an axis on which the scale or shift varies")
    return gauge.aligned(len(after))


def _check_inference(node: ir.Node, view: GraphFacts) -> None:
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    if mode is not None and (mode not in view.constants or bool(view.constants[mode])):
        raise Refuse("it drops elements at inference")


def _check_cast(unit: Unit, gauge: Gauge, view: GraphFacts) -> None:
    given = view.dtype(unit.input(0))
    target = ir.DataType(unit.node.attributes["to"].as_int())
    if not (is_floating(given) and is_floating(target)):
        raise Refuse("it casts to or from a type that is not known to be floating")
    if keeps_all(given, target):
        return
    # What was rounded on one side of the norm is rounded on the other one now.
    size = np.abs(gauge.scale)
    if not np.all((size >= 1 / _WIDEST) & (size <= _WIDEST)):
        worst = int(np.argmax(np.abs(np.log(np.clip(size, 1e-300, 1e300)))))
        raise Refuse(f"it casts to a narrower type, and the scale of channel {worst} is far from 1")
    if np.any(np.abs(gauge.shift) > _LARGEST_SHIFT):
        worst = int(np.argmax(np.abs(gauge.shift)))
        raise Refuse(f"it casts to a narrower type, and the shift of channel {worst} is large")


RULE = Layout()
